"""How much of everything: the defaults end in about half an hour on two cores, --quick in a few minutes."""
import dataclasses


def whole_numbers(text):
    return tuple(int(part) for part in text.split(","))


@dataclasses.dataclass
class Sizes:
    rounds: int = 3
    messages: int = 5_000
    messages_fast: int = 100_000
    depths: tuple = (1_000, 5_000, 20_000, 100_000)
    sessions: int = 20
    domains: int = 1_000
    slow_sessions: tuple = (200, 1_000, 10_000, 50_000)
    slow_mails: int = 3
    slow_mails_fast: int = 10
    traced_messages: int = 500
    quiet_s: int = 8
    patience_s: int = 240


QUICK = Sizes(rounds=1, messages=2_000, messages_fast=50_000, depths=(2_000,), domains=200, slow_sessions=(200, 1_000, 10_000), traced_messages=200, quiet_s=5,
              patience_s=60)

OPTIONS = {
    "rounds": (int, "rounds of each measurement, MTAs interleaved"),
    "messages": (int, "mails of a measurement"),
    "messages_fast": (int, "mails where the MTA is too fast for that number: Sluice"),
    "depths": (whole_numbers, "depths of the queue, for the drain"),
    "sessions": (int, "sessions to the next hop"),
    "domains": (int, "domains, where there are many"),
    "slow_sessions": (whole_numbers, "sessions, for slow receivers"),
    "slow_mails": (int, "mails a session, for slow receivers"),
    "slow_mails_fast": (int, "the same for Sluice"),
    "traced_messages": (int, "mails of a traced run"),
    "quiet_s": (int, "seconds of silence that end a restart"),
    "patience_s": (int, "seconds after which a measurement is given up"),
}


def add_options(parser):
    for name, (kind, text) in OPTIONS.items():
        default = getattr(Sizes(), name)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        parser.add_argument("--" + name.replace("_", "-"), type=kind, help=f"{text} (default: {shown})")


def chosen(arguments):
    sizes = QUICK if arguments.quick else Sizes()
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    return dataclasses.replace(sizes, **given)
