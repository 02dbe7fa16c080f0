"""Where the frozen ``echogfr-convert`` begins; what needs the convert extra says so when it is used."""

from multiprocessing import freeze_support

if __name__ == "__main__":
    freeze_support()
    from convert.start import main

    main()
