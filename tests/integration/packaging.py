"""What is packaged holds together: sample configurations, unit, dashboard, alerts, the package itself; and the rights that the daemon and sendmail run with."""
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import urllib.request

from _relay import Relay
from _sluice import SLUICE, Sink, free_port, log_records, root

PACKAGING = root / "packaging"


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == 0, (command, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def each_sample_configuration_is_good():
    samples = [PACKAGING / "sluice.toml", *sorted((PACKAGING / "examples").glob("*.toml"))]
    assert len(samples) >= 5
    for sample in samples:
        run(SLUICE, "check", "--config", sample)


def dashboard_and_alerts_name_metrics_that_there_are(folder):
    promtool = pathlib.Path(run(root / "tools/prometheus_tools.sh").strip()) / "promtool"
    run(promtool, "check", "rules", PACKAGING / "monitoring/alerts.yml")
    json.loads((PACKAGING / "monitoring/grafana.json").read_text())
    port = free_port()
    (folder / "metrics").mkdir()
    with Relay(folder / "metrics", 1, f'[admin]\naddress = "127.0.0.1:{port}"\n'):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            there = set(re.findall(r"^# TYPE (\S+)", answer.read().decode(), re.MULTILINE))
    for name in ("alerts.yml", "grafana.json"):
        named = {re.sub("_bucket$", "", metric) for metric in re.findall(r"\b(?:sluice|process)_\w+", (PACKAGING / "monitoring" / name).read_text())}
        assert len(named) >= 5 and named <= there, (name, named - there)


def the_unit_is_hardened():
    score = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", PACKAGING / "sluice.service")
    print(score.strip().splitlines()[-1])


def the_package_has_what_it_is_to_install(folder):
    run("cpack", "--config", SLUICE.parent / "CPackConfig.cmake", "-G", "DEB", "-B", folder)
    package, = folder.glob("*.deb")
    files = {line.split()[-1]: line for line in run("dpkg-deb", "--contents", package).splitlines()}
    for path in ("usr/bin/sluice", "usr/sbin/sendmail", "usr/lib/systemd/system/sluice.service", "etc/sluice/sluice.toml", "etc/logrotate.d/sluice",
                 "usr/share/man/man1/sluice.1", "usr/share/doc/sluice/examples/relay.toml", "usr/share/doc/sluice/monitoring/alerts.yml",
                 "usr/share/bash-completion/completions/sluice"):
        assert "./" + path in files, (path, sorted(files))
    fields = run("dpkg-deb", "--field", package)
    assert re.search(r"^Depends:.*adduser.*libc6", fields, re.MULTILINE) or re.search(r"^Depends:.*libc6.*adduser", fields, re.MULTILINE), fields
    assert "Provides: mail-transport-agent" in fields, fields
    control = folder / "control"
    run("dpkg-deb", "--control", package, control)
    for script in ("postinst", "prerm", "postrm"):
        assert os.access(control / script, os.X_OK), script
        run("sh", "-n", control / script)
    assert (control / "conffiles").read_text().split() == ["/etc/sluice/sluice.toml", "/etc/logrotate.d/sluice"]


def the_daemon_becomes_its_user_and_keeps_one_right(folder):
    user = pwd.getpwnam("nobody")
    folder.chmod(0o755)
    relay = Relay(folder, 1)
    text = (folder / "c.toml").read_text().replace("[engine]", '[engine]\nuser = "nobody"')
    # A port below 1024 is to be bound after the rights are gone; which of them is free nobody knows.
    relay.port = next(port for port in range(600, 1000) if not is_taken(port))
    (folder / "c.toml").write_text(re.sub(r'address = "127.0.0.1:\d+"', f'address = "127.0.0.1:{relay.port}"', text))
    with relay:
        status = dict(line.split(":\t", 1) for line in (pathlib.Path("/proc") / str(relay.process.pid) / "status").read_text().splitlines())
        assert status["Uid"].split() == [str(user.pw_uid)] * 4 and status["Gid"].split() == [str(user.pw_gid)] * 4, status
        assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 1 << 10 and status["NoNewPrivs"] == "1", status
        for name in ("spool", "log"):
            there = (folder / name).stat()
            assert there.st_uid == user.pw_uid and stat.S_IMODE(there.st_mode) & 0o007 == 0, (name, oct(there.st_mode))


def is_taken(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def sendmail_hands_off_for_everybody_and_obeys_nobody(folder):
    """As the package installs it: of the spool's user, set-user-ID. The system's configuration is not for a test to write, so a bind mount stands in its place."""
    folder.chmod(0o755)
    sendmail = folder / "sendmail"
    shutil.copy(SLUICE, sendmail)
    user, other = pwd.getpwnam("nobody"), pwd.getpwnam("daemon")
    os.chown(sendmail, user.pw_uid, user.pw_gid)
    sendmail.chmod(0o6755)
    shutil.copy(SLUICE, folder / "sluice")  # somebody else may not reach the build folder
    (folder / "etc").mkdir()
    for name in ("spool", "log"):
        (folder / name).mkdir(mode=0o750)
        os.chown(folder / name, user.pw_uid, user.pw_gid)
    with Sink("--count", "2") as sink:
        (folder / "etc/sluice.toml").write_text(
            f'[engine]\nhostname = "mta.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\n[destination."*"]\nnext_hop = ["127.0.0.1:{sink.port}"]\n')
        (folder / "etc/sluice.toml").chmod(0o640)
        os.chown(folder / "etc/sluice.toml", 0, user.pw_gid)
        as_other = f"setpriv --reuid={other.pw_uid} --regid={other.pw_gid} --clear-groups {sendmail}"
        script = f"""mkdir -p /etc/sluice && mount --bind {folder}/etc /etc/sluice || exit 9
            printf 'Subject: x\\n\\nhello\\n' | {as_other} ann@a.example || exit 1
            printf 'x' | {as_other} --spool /tmp/elsewhere ann@a.example 2>/dev/null; [ $? = 77 ] || exit 2
            ln {sendmail} {folder}/other-name && printf 'Subject: y\\n\\nhello\\n' | {as_other.replace("sendmail", "other-name")} serve || exit 3
            TMPDIR=/nonexistent {as_other} --config /dev/null bob@a.example </dev/null 2>/dev/null; [ $? = 77 ] || exit 4
            exec setpriv --reuid={user.pw_uid} --regid={user.pw_gid} --clear-groups {folder}/sluice serve --until-empty --quiet"""
        run("unshare", "--mount", "sh", "-c", script)
        sink.end()
        assert sink.result["messages"] == 2, sink.result
    delivered = [record for record in log_records(folder / "log") if record["event"] == "delivered"]
    # Under whatever name it is called: `serve` is a recipient, and no command.
    assert {(record["sender"], record["recipient"]) for record in delivered} == {("daemon@mta.example", recipient) for recipient in ("ann@a.example", "serve@mta.example")}, delivered


def main():
    assert os.geteuid() == 0, "needs root to become somebody else"
    each_sample_configuration_is_good()
    the_unit_is_hardened()
    for check in (dashboard_and_alerts_name_metrics_that_there_are, the_package_has_what_it_is_to_install, the_daemon_becomes_its_user_and_keeps_one_right,
                  sendmail_hands_off_for_everybody_and_obeys_nobody):
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder))
    print("packaging: sound")


main()
