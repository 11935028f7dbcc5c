from jaxtyping import install_import_hook

ROOMS = ("norms", "losses", "attacks.pgd", "attacks.msd", "attacks.apgd", "models.noise_generator")
install_import_hook([f"mngac.{room}" for room in (*ROOMS, "evaluation.acceptance")], "type_checker.checked")

import pytest  # noqa: E402  (what is imported before the hook is not checked)
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
