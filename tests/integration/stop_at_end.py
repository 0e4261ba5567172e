#!/usr/bin/env python3
"""An engine that is told to stop while a campaign ends, at whatever instant of that, stops in order; the next one finds all done."""
# timeout_s: 60
import pathlib
import subprocess
import tempfile
import time

from _sluice import SLUICE, Sink

ROUNDS = 20


def main():
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        path = pathlib.Path(folder)
        config = path / "c.toml"
        config.write_text(f'[engine]\nspool = "{folder}/spool"\nlog = "{folder}/log"\n[destination."*"]\nnext_hop = ["127.0.0.1:{sink.port}"]\n')
        (path / "m.eml").write_text("From: a@news.example\nTo: {{email}}\nSubject: hello\n\nHello\n")
        (path / "l.csv").write_text("email\na@x.example\n")
        log = path / "log" / "transactions.jsonl"
        for number in range(ROUNDS):
            subprocess.run([SLUICE, "send", "--config", config, "--message", path / "m.eml", "--recipients", path / "l.csv", "--from", "a@news.example",
                            "--campaign", f"c{number}", "--quiet"], check=True, stdout=subprocess.DEVNULL)
            engine = subprocess.Popen([SLUICE, "serve", "--config", config, "--quiet"], stderr=subprocess.PIPE, text=True)
            while not log.exists() or log.read_bytes().count(b'"delivered"') <= number:
                assert engine.poll() is None, engine.communicate()
                time.sleep(0.0005)
            time.sleep(number * 0.0002)
            engine.terminate()
            _, err = engine.communicate(timeout=15)
            assert engine.returncode == 0 and err == "", (number, engine.returncode, err)
        done = subprocess.run([SLUICE, "serve", "--config", config, "--until-empty", "--quiet"], timeout=15)
        assert done.returncode == 0, done
    assert sink.result["messages"] == ROUNDS, sink.result
    print(f"{ROUNDS} stops while a campaign ended")


if __name__ == "__main__":
    main()
