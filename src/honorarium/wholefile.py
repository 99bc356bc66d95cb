"""A file that is there whole, or as it was before."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

from honorarium.onfailure import OnFailure


def put_whole(path: Path, data: bytes, mode: int = 0o644) -> Path:
    """Writes the file beside its place, syncs it, and moves it there; the folder is made if it is
    missing. Raises OSError, and leaves nothing behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    draft = Path(name)
    with OnFailure(partial(draft.unlink, missing_ok=True)):
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        return draft.replace(path)
