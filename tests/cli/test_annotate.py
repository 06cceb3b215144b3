"""`voxseed annotate`: what stops it, in a sentence."""

import sys
from pathlib import Path

import pytest


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


@pytest.mark.parametrize(("words", "sentence"), [(("nowhere",), "nowhere"), (("--port", "99999"), "99999")])
def test_wrong_arguments(voxseed, dataset, words, sentence):
    words = words if words[0] == "nowhere" else (dataset, *words)
    answer = voxseed("annotate", *words)
    assert answer.code == 2
    assert sentence in answer.err
