"""nodemailer, as npm has it: a pool of connections under TLS, logged in."""
import base64
import email
import email.policy
import json
import os
import pathlib
import subprocess

from _station import split_received
from relay_tls import PASSWORD

VERSION = "6.10.1"  # runs on Debian's node, too
MESSAGES = 100
ATTACHED = bytes(range(256)) * 200
RAW = ("From: a@news.example\r\nTo: raw@x.example\r\nSubject: as it is\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@news.example>\r\n\r\n"
       "Grüße\r\n.dot\r\n..\r\n\r\nend\r\n")
PROGRAM = """
const wish = JSON.parse(require('fs').readFileSync(0));
const transport = require('nodemailer').createTransport({
  host: '127.0.0.1', port: wish.port, pool: true, maxConnections: 5, maxMessages: 10, requireTLS: true, name: 'client.example',
  auth: {user: 'ann', pass: wish.password}, tls: {ca: wish.certificate, servername: 'relay.example'}});
const message = number => ({
  from: 'Ärzte <a@news.example>', to: [`u${number}@x.example`, `Zwei <z${number}@y.example>`], bcc: `b${number}@x.example`, subject: `Grüße ${number}`,
  text: `Grüße ${number}\\n.\\nend`, html: '<p>Grüße', attachments: [{filename: 'Größe.bin', content: Buffer.from(wish.attached, 'base64')}],
  dsn: {id: `e${number}`, return: 'headers', notify: ['failure', 'delay'], recipient: 'a@news.example'}});
(async () => {
  await transport.verify();
  const answers = await Promise.all([...Array(wish.messages).keys()].map(number => transport.sendMail(message(number))));
  answers.push(await transport.sendMail({envelope: {from: 'a@news.example', to: 'raw@x.example'}, raw: wish.raw}));
  const some = await transport.sendMail({...message(0), envelope: {from: 'a@news.example', to: ['nobody@x..example', 'last@x.example']}});
  transport.close();
  console.log(JSON.stringify({queued: answers.filter(a => a.response.startsWith('250 2.0.0') && !a.rejected.length).length, some}));
})();
"""


def installed():
    """The folder that it lies in, put there once."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sluice" / f"nodemailer-{VERSION}"
    if not (cache / "node_modules" / "nodemailer").exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", cache, f"nodemailer@{VERSION}"], check=True)
    return cache


def nodemailer(station):
    wish = {"port": station.port, "password": PASSWORD, "certificate": station.pem.read_text(), "messages": MESSAGES, "raw": RAW,
            "attached": base64.b64encode(ATTACHED).decode()}
    done = subprocess.run(["node", "-e", PROGRAM], input=json.dumps(wish), capture_output=True, text=True, timeout=120, cwd=installed())
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["queued"] == MESSAGES + 1, said
    taken = station.take(3 * MESSAGES + 2)
    field, octets = split_received(taken.pop("raw@x.example")[1])
    assert octets == RAW.encode() and " with ESMTPSA id " in field, octets
    assert taken.pop("last@x.example") and (said["some"]["accepted"], said["some"]["rejected"]) == (["last@x.example"], ["nobody@x..example"]), said["some"]
    for recipient, (sender, octets) in taken.items():
        message = email.message_from_bytes(octets, policy=email.policy.default)
        number = recipient[1:].partition("@")[0]
        assert sender == "a@news.example" and message["Subject"] == f"Grüße {number}" and message["Bcc"] is None, message.items()
        assert message.get_body(("plain",)).get_content().splitlines() == [f"Grüße {number}", ".", "end"], octets[:2000]
        attached, = message.iter_attachments()
        assert attached.get_filename() == "Größe.bin" and attached.get_content() == ATTACHED
    commands = station.commands()
    assert sum(" RET=HDRS" in c and " ENVID=e" in c for c in commands) > 2 * MESSAGES - 1 and sum(" NOTIFY=FAILURE,DELAY" in c for c in commands) > 3 * MESSAGES - 1, commands[:9]
