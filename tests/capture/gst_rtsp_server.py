"""An RTSP server by GStreamer, run as a program: prints its port, serves /kidney until its input closes.

``python gst_rtsp_server.py ENCODER``: a pipeline from raw video to the payload element named pay0.
"""

from __future__ import annotations

import sys
import warnings

warnings.simplefilter("ignore")
from edge_app.capture._gst import _gi  # noqa: E402


def main() -> None:
    gi = _gi()
    for name in ("Gst", "GstRtspServer"):
        gi.require_version(name, "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    source = "videotestsrc is-live=true ! video/x-raw,format=I420,width=640,height=480,framerate=25/1"
    factory.set_launch(f"( {source} ! {sys.argv[1]} )")
    server.get_mount_points().add_factory("/kidney", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    GLib.io_add_watch(GLib.IOChannel.unix_new(0), 0, GLib.IOCondition.HUP | GLib.IOCondition.IN, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    main()
