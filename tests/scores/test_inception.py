"""Inception-v3: its weights come from a server once, and a run without them says so in one line."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
import torch
from archive_server import archive_of, serve
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from lookahead_bench.errors import DataError
from lookahead_bench.scores import inception as module
from lookahead_bench.scores.classifier import outputs
from lookahead_bench.scores.generated import Outputs, Real


@pytest.fixture(scope="module")
def weights() -> bytes:
    """A network that has learnt nothing, as a file of the published one's form."""

    class Fresh(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *args: object, **kwargs: object) -> None:
            """Its own at first."""

    buffer = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **kwargs: {})
        network = Fresh("inception-v3", ["2048"], feature_extractor_weights_path="none")
    torch.save(network.state_dict(), buffer)
    return buffer.getvalue()


def test_downloaded_once_then_found(weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as server:
        url = server.give("/weights.pth", weights)
        monkeypatch.setattr(module, "WEIGHTS", archive_of(weights, url, filename="weights.pth"))
        first = module.inception(tmp_path)
        assert (tmp_path / "inception" / "weights.pth").read_bytes() == weights
        second = module.inception(tmp_path)
    assert server.requests == ["/weights.pth"]
    assert first is not None
    assert second is not None
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen, again = outputs(first, images), outputs(second, images)
    assert [tuple(one.shape) for one in seen] == [(4, 2048), (4, 1008)]
    assert all(torch.equal(a, b) for a, b in zip(seen, again, strict=True))

    # the score is torch-fidelity's own of the same features
    other, _ = outputs(first, images.flip(0) / 2)
    statistics = (fid_features_to_statistics(one.double()) for one in (other, seen[0]))
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert Real(Outputs(*seen)).fid(other) == pytest.approx(expected, rel=1e-9)


def test_one_line_where_they_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "WEIGHTS", archive_of(b"x", "http://127.0.0.1:1/weights.pth", filename="weights.pth"))
    with caplog.at_level(logging.WARNING, "lookahead_bench"):
        assert module.inception(tmp_path) is None
    (record,) = caplog.records
    assert "no fid_inception" in record.message
    assert str(tmp_path / "inception" / "weights.pth") in record.message
    assert not list(tmp_path.iterdir())


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "inception" / module.WEIGHTS.filename
    path.parent.mkdir()
    path.write_bytes(b"not it")
    with pytest.raises(DataError, match=r"is damaged.*delete it"):
        module.inception(tmp_path)
