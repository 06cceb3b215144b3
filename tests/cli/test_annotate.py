"""`voxseed annotate`: what stops it, in a sentence."""

import sys
from pathlib import Path


def test_without_the_page(voxseed, dataset, monkeypatch, tmp_path):
    from voxseed.server import serve
    from voxseed.server.page import read_page

    monkeypatch.setattr(serve, "read_page", lambda: read_page(tmp_path))
    answer = voxseed("annotate", dataset, "--no-browser")
    assert answer.code == 2
    assert "no annotation page" in answer.err
    assert not (Path(dataset) / "annotations" / "page").exists()


def test_without_the_packages(voxseed, dataset, monkeypatch):
    monkeypatch.delitem(sys.modules, "voxseed.server.serve", raising=False)
    monkeypatch.delattr("voxseed.server.serve", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    answer = voxseed("annotate", dataset)
    assert answer.code == 2
    assert "The page needs uvicorn: pip install 'voxseed[web]'." in answer.err


def test_without_a_dataset(voxseed, tmp_path):
    answer = voxseed("annotate", tmp_path / "nowhere")
    assert answer.code == 2
    assert "nowhere: no such dataset folder." in answer.err
