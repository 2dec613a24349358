"""`python -m mintari.standins gemini --port 9001`: run one stand-in until Ctrl-C."""

from __future__ import annotations

import socket

import click

from mintari.standins.registry import APPLICATIONS
from mintari.standins.running import server_for
from mintari.standins.wire import LATENCY_S, StandIn


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", type=click.Choice(sorted(APPLICATIONS)))
@click.option("--port", default=0, show_default="a free one", help="The port on this machine.")
@click.option("--latency", default=LATENCY_S, show_default=True, help="Seconds that a call takes.")
def main(name: str, port: int, latency: float) -> None:
    """Run the stand-in NAME. GET /stand-in/calls shows what it was asked."""
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise click.ClickException(f"port {port}: {error.strerror}") from error
    application = APPLICATIONS[name]()
    stand_in: StandIn = application.state.stand_in
    stand_in.latency_s = latency
    stand_in.reset()
    with listening:
        click.echo(f"{name} stand-in at http://127.0.0.1:{listening.getsockname()[1]}")
        server_for(application).run(sockets=[listening])


if __name__ == "__main__":
    main(prog_name="python -m mintari.standins")
