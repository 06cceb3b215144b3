"""The command `voxseed annotate`."""

from voxseed.cli.options import DatasetPath
from voxseed.cli.output import print_line
from voxseed.cli.page import Host, NoBrowser, Port, WrittenSet, import_serve


def annotate(
    dataset: DatasetPath,
    annotations: WrittenSet = None,
    port: Port = None,
    no_browser: NoBrowser = False,
    host: Host = "127.0.0.1",
) -> None:
    """Annotate in the browser: points, boxes, strokes; what grows from them is shown at once."""
    import_serve().annotate(dataset, annotations, host, port, not no_browser, print_line)
