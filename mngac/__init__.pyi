from mngac.api.attacks import attack as attack
from mngac.api.classifiers import load_classifier as load_classifier
from mngac.api.evaluation import Evaluated as Evaluated
from mngac.api.evaluation import evaluate as evaluate
from mngac.api.training import Trained as Trained
from mngac.api.training import train as train
from mngac.data.store import load as load_data
from mngac.results.compare import compare as compare
from mngac.results.records import Record as Record
from mngac.results.records import read as read_record

__version__: str
__all__ = [
    "Evaluated",
    "Record",
    "Trained",
    "__version__",
    "attack",
    "compare",
    "evaluate",
    "load_classifier",
    "load_data",
    "read_record",
    "train",
]
