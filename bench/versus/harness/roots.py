"""What is measured beside Sluice, installed: each MTA in a Debian root of its own, since Debian's packages exclude one another."""
import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess

HOST_PACKAGES = {"debootstrap": "debootstrap", "python3-matplotlib": None, "strace": "strace", "iproute2": "ip", "util-linux": "unshare",
                 "openssl": "openssl", "python3-dkim": None, "python3-nacl": None}
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
NO_SERVICES = "#!/bin/sh\nexit 101\n"  # policy-rc.d: a package starts no server


def cache():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sluice" / "versus"


@contextlib.contextmanager
def alone():
    """Two runs would use the same roots, and spoil each other's figures."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("versus: another run is under way") from None
        yield


def installed(package):
    shown = subprocess.run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", package], capture_output=True, text=True)
    return shown.stdout == "installed"


def equip_host():
    missing = [package for package, program in HOST_PACKAGES.items() if not (program and shutil.which(program)) and not installed(package)]
    if not missing:
        return
    print(f"versus: installing {' '.join(missing)}", flush=True)
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    subprocess.run([*apt, "update"], check=False, stdout=subprocess.DEVNULL)
    subprocess.run([*apt, "install", "--yes", "--no-install-recommends", *missing], check=True, stdout=subprocess.DEVNULL, env=os.environ | QUIET)


def run_in(root, *command):
    """What it says goes to install.log of the cache."""
    with open(cache() / "install.log", "ab") as log:
        subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={root}", "--mount-proc", *command], check=True,
                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=QUIET)


def whole(folder, make):
    """The folder, made under another name first: half of one is never taken for it."""
    if not folder.exists():
        fresh = folder.with_name(folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        make(fresh)
        fresh.rename(folder)
    return folder


def base():
    def make(folder):
        print("versus: a Debian root (debootstrap)", flush=True)
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(folder)], check=True, stdout=subprocess.DEVNULL)
        (folder / "usr/sbin/policy-rc.d").write_text(NO_SERVICES)
        (folder / "usr/sbin/policy-rc.d").chmod(0o755)
    return whole(cache() / "base", make)


def debian_root(name, *packages):
    """A copy of the base with these packages; made once, then kept, and completed when a package is new here."""
    def make(folder):
        source = base()
        subprocess.run(["cp", "--archive", str(source), str(folder)], check=True)
        complete(folder)

    def complete(folder):
        missing = [package for package in packages if version_in(folder, package) is None]
        if missing:
            print(f"versus: installing {' '.join(missing)} into a root of its own", flush=True)
            run_in(folder, "apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing)
        # Whom this machine trusts on the way to a registry, its roots trust.
        if pathlib.Path(CERTIFICATES).exists():
            (folder / CERTIFICATES[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CERTIFICATES, folder / CERTIFICATES[1:])
    root = whole(cache() / name, make)
    complete(root)
    return root


def version_in(root, package):
    """None: it is not installed there."""
    shown = subprocess.run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat=${db:Status-Status} ${Version}", package],
                           capture_output=True, text=True).stdout.split()
    return shown[1] if shown[:1] == ["installed"] else None


def give_proc(root):
    """Inside a cell: the mount goes with it."""
    subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)
