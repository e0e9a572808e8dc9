"""Pickles from elsewhere, read with a list of what they may ask for. Nothing else is looked up, so nothing else runs.

Every name a pickle asks for goes through `find_class`; plain containers, texts and numbers need no name.
"""

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


class Record:
    """Stands in for a foreign class: takes the pickled attributes and does nothing."""


ARRAYS: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
}
GRAPHS: dict[str, Any] = ARRAYS | {  # torch_geometric graphs, without torch_geometric
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    # torch's own would unpickle anything
    "torch.storage._load_from_bytes": lambda content: torch.load(io.BytesIO(content), weights_only=True),
    "torch_geometric.data.data.Data": Record,
}


class Unpickler(pickle.Unpickler):
    """Refuses (UnpicklingError) a pickle that asks for more than `allowed`."""

    def __init__(self, content: bytes, allowed: Mapping[str, Any], encoding: str = "ASCII") -> None:
        super().__init__(io.BytesIO(content), encoding=encoding)
        self.allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self.allowed:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which is not allowed")
        return self.allowed[f"{module}.{name}"]


def unpickle(content: bytes, allowed: Mapping[str, Any], encoding: str = "ASCII") -> Any:
    """The object of a pickle, or of a .npy file that holds one; `encoding` is that of texts of Python 2."""
    stream = io.BytesIO(content)
    if content.startswith(np.lib.format.MAGIC_PREFIX):
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
    return Unpickler(content[stream.tell() :], allowed, encoding).load()
