"""Where the frozen ``echogfr`` begins; its worker is the same program, started anew."""

from multiprocessing import freeze_support

if __name__ == "__main__":
    freeze_support()
    from edge_app.start import main

    main()
