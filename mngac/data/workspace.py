"""What a loader is given beside its config, and the checks that loaders share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mngac.data.archives import unpack
from mngac.data.download import check, fetch
from mngac.params.errors import DataError, shown
from mngac.params.sections import DataConfig
from mngac.pipeline.files import demand
from mngac.pipeline.progress import Log


@dataclass(frozen=True)
class Published:
    """A file as its publisher offers it: where, under what name, with what MD5."""

    url: str
    name: str
    md5: str


@dataclass(frozen=True)
class Workspace:
    """A loader's surroundings.

    `downloads` stays, so that no file is fetched twice; `scratch` is gone when the stage is done.
    """

    name: str
    """Data set, as params.yaml calls it."""
    log: Log
    downloads: Path
    scratch: Path

    def stated_source(self, config: DataConfig) -> str:
        """The source of a loader that can't download.

        Raises:
            DataError: where none is stated.
        """
        if config.source is None:
            raise DataError(f"data.{self.name}.source: found null; allowed: a folder or archive to read")
        return str(demand(config.source))

    def fetched(self, file: Published) -> Path:
        """A published file, downloaded unless it is there."""
        return fetch(file.url, self.downloads / file.name, file.md5, self.log)

    def official(self, config: DataConfig, archives: list[Published], files: dict[str, str], base: str) -> Path:
        """The folder with a data set's official files, each with its published MD5, wherever they come from.

        Args:
            config: `source` is null (download), an archive, or an extracted folder.
            archives: what is downloaded.
            files: file name -> MD5.
            base: the folder that the files stand in, inside an archive or extracted folder.

        Raises:
            DataError: where a file is missing or is not what was published.
        """
        origin = archives[0].url
        source = None if config.source is None else demand(config.source)
        if source is None:
            paths = [self.fetched(a) for a in archives]
            source = paths[0] if len(paths) == 1 else self.downloads
        names = [f"{base}/{name}" if base else name for name in files]
        if source.is_file():
            missing = unpack(source, names, self.scratch)
            folder = self.scratch / base
        else:
            folder = source / base if (source / base).is_dir() else source
            missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            raise DataError(
                f"{source}: no {missing[0]} in it, so these are not the official files of {origin}; a tree or "
                "archive of train/<class>/ images is read with loader: folder"
            )
        for name, expected in files.items():
            check(folder / name, expected, origin)
        return folder


def check_classes(source: str, classes: list[str], stated: int | None, name: str) -> None:
    """Compares the number of classes with the stated one, and looks at their names, which figures print.

    Raises:
        DataError: where they differ, for a single class, or for a name that can't be printed.
    """
    if len(classes) < 2:
        raise DataError(f"{source}: found one class, {shown(classes[0])}; allowed: two or more, to be told apart")
    for each in classes:
        if not each.isprintable():
            raise DataError(f"{source}: class {shown(each)}: a name that can't be printed; rename its folder")
    if stated is not None and len(classes) != stated:
        raise DataError(
            f"{source}: {len(classes)} classes found, data.{name}.classes states {stated}; correct one of them"
        )
