from __future__ import annotations
import os, tarfile, io
from pathlib import Path
from typing import Sequence

def unpack_layers(layers: Sequence[Path], output: Path) -> None:
    for layer in layers:
        with layer.open("rb") as f:
            magic = f.read(4); f.seek(0)
            if magic == b"\x28\xb5\x2f\xfd":
                import zstandard
                f = zstandard.ZstdDecompressor().stream_reader(f)
            mode = "r|*" if not hasattr(f, "readinto1") and magic != b"\x28\xb5\x2f\xfd" else "r|"
            if magic == b"\x28\xb5\x2f\xfd": mode = "r|"
            elif magic[:2] == b"\x1f\x8b": mode = "r|gz"
            else: mode = "r|"
            with tarfile.open(fileobj=f, mode=mode) as t:
                dirs = []
                for m in t:
                    b = os.path.basename(m.name)
                    if b.startswith(".wh."):
                        p = output / os.path.dirname(m.name) / b[4:]
                        import shutil
                        if p.is_dir() and not p.is_symlink(): shutil.rmtree(p)
                        else: p.unlink()
                        continue
                    p = output / m.name
                    if m.isdir():
                        p.mkdir(parents=True, exist_ok=True)
                        dirs.append((p, m))
                    else:
                        p.parent.mkdir(parents=True, exist_ok=True)
                        if p.is_symlink() or p.exists(): p.unlink()
                        if m.islnk(): os.link(output / m.linkname, p); continue
                        elif m.issym(): os.symlink(m.linkname, p)
                        else:
                            with p.open("wb") as o:
                                import shutil
                                shutil.copyfileobj(t.extractfile(m), o, 1 << 20)
                    if os.geteuid() == 0: os.lchown(p, m.uid, m.gid)
                    if not m.issym() and not m.isdir():
                        os.chmod(p, m.mode)
                    if not m.isdir(): os.utime(p, (m.mtime, m.mtime), follow_symlinks=False)
                for p, m in reversed(dirs):
                    os.chmod(p, m.mode); os.utime(p, (m.mtime, m.mtime))
