"""The fleet's own Python files, `tools/*.py`: loaded when first needed, and again when they change.

Each file is a module of a package of its own, `botdeck_tools_<n>`: it gets in nobody's way, and may take what lies beside
it by `from . import name`. A changed file becomes a new package; functions of the old one run on to their end.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import anyio

from config.errors import FleetError
from config.vocabulary import FLEET
from store.events import ConfigRejected
from workers.errors import ToolFailed
from workers.failure import TOOLS

if TYPE_CHECKING:
    from workers.bus import Bus
    from workers.clock import Clock
    from workers.tools.threads import Threads

logger = logging.getLogger(__name__)

FOLDER: Final = "tools"
LOAD_S: Final = 30.0
"""A file whose import takes longer is taken for one that never ends."""

GRACE_S: Final = 0.3
"""A broken file younger than this is being written; it is looked at once more."""

_Signature = tuple[tuple[str, tuple[int, int, int] | None], ...]
_numbers = itertools.count(1)


class Broken(FleetError):
    """A Python file that cannot be loaded. line is 0 when none is known; files are those that may mend it."""

    def __init__(self, message: str, path: Path, line: int = 0, files: Iterable[Path] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.files = tuple(files)


class Loaded:
    """A file that was loaded: its module, and all files that went into it."""

    __slots__ = ("files", "module", "package")

    def __init__(self, package: str, module: ModuleType, files: tuple[Path, ...]) -> None:
        self.package = package
        self.module = module
        self.files = files

    def leave(self) -> None:
        """Take the modules out of the interpreter's list; what runs in them goes on."""
        _forget(self.package)


def load(folder: Path, name: str) -> Loaded:
    """Import folder/name.py under names of its own. Blocks for as long as the file's own code takes. Raises Broken."""
    path = folder / f"{name}.py"
    if not path.is_file():
        raise Broken(f"there is no file {FOLDER}/{name}.py", path, files=(path,))
    package = f"{TOOLS}{next(_numbers)}"
    _FINDER.add(package, folder)
    try:
        module = import_module(f"{package}.{name}")
    except KeyboardInterrupt:
        _forget(package)
        raise
    except BaseException as error:  # noqa: BLE001 (the file is anybody's code: it may even call sys.exit)
        files = (*_files_of(package), path, folder)
        _forget(package)
        broken = _why(error, folder, path)
        said = broken.message.replace(package, FOLDER)
        raise Broken(said, broken.path, broken.line, {*files, broken.path}) from None
    return Loaded(package, module, _files_of(package))


@dataclass(slots=True)
class _File:
    """One file as last seen. signature is that of the last look, whatever came of it."""

    name: str
    loaded: Loaded | None = None
    files: tuple[Path, ...] = ()
    signature: _Signature | None = None
    problem: str = ""
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    def current(self) -> bool:
        return self.signature is not None and self.signature == _signature(self.files)


class Modules:
    """The Python files of a fleet, each loaded once for all bots. For one event loop; files are run in threads.

    Whether a file has changed is looked at with every `get`, a few microseconds a file: nothing is watched.
    """

    def __init__(self, root: Path, clock: Clock, bus: Bus, threads: Threads, clean: Callable[[str], str] = str) -> None:
        self._folder = root / FOLDER
        self._clock = clock
        self._bus = bus
        self._threads = threads
        self._clean = clean
        self._known: dict[str, _File] = {}

    def current(self, name: str) -> ModuleType | None:
        """Return the module of tools/name.py when the file is as it was last looked at; None when it is to be got anew."""
        file = self._known.get(name)
        return file.loaded.module if file is not None and file.loaded is not None and file.current() else None

    async def get(self, name: str) -> ModuleType | None:
        """Return the module of tools/name.py as it is now, or as it was last good; None when it never was.

        Never raises: what is wrong is told to the operator, once. Cancelling is safe.
        """
        file = self._known.get(name)
        if file is None:
            file = self._known[name] = _File(name)
        if not file.current():
            async with file.turn:
                if not file.current():
                    await self._renew(file)
        return file.loaded.module if file.loaded else None

    def close(self) -> None:
        """Forget every file."""
        for file in self._known.values():
            if file.loaded is not None:
                file.loaded.leave()
        self._known.clear()

    def tell(self, problem: str) -> None:
        """Tell the operator what is wrong with a file."""
        said = self._clean(problem)
        logger.error("%s", said)
        self._bus.publish(ConfigRejected(bot_id=FLEET, at=self._clock.now(), problems=(said,)))

    async def _renew(self, file: _File) -> None:
        path = self._folder / f"{file.name}.py"
        before = _signature((path,))
        try:
            self._take(file, await self._load(file.name))
        except Broken as error:
            self._keep(file, error.message, error.files)
        except ToolFailed as error:  # no thread is free, or the file ended the one it had
            self._keep(file, f"{FOLDER}/{file.name}.py: {error.message}", ())
        if before != _signature((path,)):
            file.signature = (
                None  # saved meanwhile: what was loaded may be either, so it is loaded again at the next turn
            )

    async def _load(self, name: str) -> Loaded:
        """Load a file in a thread; once more when it is broken and was saved just now. Raises Broken."""
        try:
            return await self._once(name)
        except Broken as error:
            if not self._is_young(error.path):
                raise
        await self._clock.sleep(GRACE_S)
        return await self._once(name)

    async def _once(self, name: str) -> Loaded:
        path = self._folder / f"{name}.py"
        with self._clock.deadline(LOAD_S):
            return await self._threads.run(FLEET, lambda: load(self._folder, name))
        raise Broken(f"{FOLDER}/{name}.py: loading it takes more than {LOAD_S:g} s", path, files=(path,))

    def _take(self, file: _File, loaded: Loaded) -> None:
        if file.loaded is not None:
            file.loaded.leave()
            logger.info("%s/%s.py was loaded anew", FOLDER, file.name)
        file.loaded, file.files, file.problem = loaded, loaded.files, ""
        file.signature = _signature(loaded.files)

    def _keep(self, file: _File, problem: str, files: tuple[Path, ...]) -> None:
        """Go on with what was last good; say what is wrong, once. Without files it is tried again at the next turn."""
        file.files = files
        file.signature = _signature(files) if files else None
        if problem != file.problem:
            file.problem = problem
            self.tell(f"{problem}; the last good one goes on" if file.loaded else problem)

    def _is_young(self, path: Path) -> bool:
        try:
            return -1.0 < self._clock.now() - path.stat().st_mtime < GRACE_S
        except OSError:
            return False


# --- the interpreter's side ------------------------------------------------------------------------------------


class _Source(SourceFileLoader):
    """Loads source as it is: a cached translation of a file saved twice within a second would be stale."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


class _Finder(MetaPathFinder):
    """Finds `botdeck_tools_<n>.name` in the folder that number stands for, and nothing else."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def add(self, package: str, folder: Path) -> None:
        if self not in sys.meta_path:
            sys.meta_path.append(self)
        self.folders[package] = folder
        made = ModuleType(package)
        made.__path__ = []
        sys.modules[package] = made

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        folder = self.folders.get(package)
        if folder is None or not name:
            return None
        place = folder.joinpath(*name.split("."))
        within = place / "__init__.py"
        if within.is_file():
            return spec_from_file_location(
                fullname, within, loader=_Source(fullname, str(within)), submodule_search_locations=[]
            )
        alone = place.with_name(f"{place.name}.py")
        if alone.is_file():
            return spec_from_file_location(fullname, alone, loader=_Source(fullname, str(alone)))
        return None


_FINDER: Final = _Finder()


def _forget(package: str) -> None:
    _FINDER.folders.pop(package, None)
    for name in [name for name in list(sys.modules) if name == package or name.startswith(f"{package}.")]:
        sys.modules.pop(name, None)


def _files_of(package: str) -> tuple[Path, ...]:
    inside = [module for name, module in list(sys.modules.items()) if name.startswith(f"{package}.")]
    return tuple(Path(file) for module in inside if (file := getattr(module, "__file__", None)))


def _signature(files: Iterable[Path]) -> _Signature:
    return tuple([(str(file), _state(file)) for file in files])


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 (twice as fast, at every turn)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _why(error: BaseException, folder: Path, path: Path) -> Broken:
    """Say what is wrong, at the innermost line of the folder's files."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SyntaxError) and error.filename:
        place, line = Path(error.filename), error.lineno or 0
        said = f"{type(error).__name__}: {error.msg}"
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(folder)]
        place, line = (Path(frames[-1].filename), frames[-1].lineno or 0) if frames else (path, 0)
    shown = place.relative_to(folder.parent) if place.is_relative_to(folder.parent) else place
    return Broken(f"{shown}:{line}: {said}" if line else f"{shown}: {said}", place, line)
