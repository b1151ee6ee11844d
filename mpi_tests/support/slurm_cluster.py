#!/usr/bin/env python3
"""A Slurm cluster on one machine, for tests: every node has a network, a host name and processes of its own.

    slurm_cluster.py NODES [COMMAND…]     runs the command (or a shell) on the login node, then takes all down

Each node is a tree of processes in namespaces: network, host name, IPC, mounts, PIDs. A bridge in the login
node's network joins them. Files are the machine's own, shared by all, but for /run, /dev/shm and what slurmd
keeps. All ends with the process that made it, even if that is killed. Needs root, and Debian's slurmctld, slurmd,
slurm-client, munge, iproute2.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOGIN = "login"
SUBNET = "10.83.0"  # exists in these namespaces only
TOOLS = ("slurmctld", "slurmd", "srun", "sbatch", "munged", "ip", "unshare", "nsenter", "setpriv")

# The first process of a node. It stays, and so collects the processes that lost their parents.
INIT = """
set -e
hostname "$1"
mount --bind "$2/hosts" /etc/hosts
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -m 755 /run/munge
ip link set lo up
echo ready
while :; do sleep 1000 & wait $! || true; done
"""

SETTINGS = """\
ClusterName=cellmill
SlurmctldHost={login}({subnet}.254)
SlurmUser=root
AuthType=auth/munge
# A job that was requeued starts again once its old credential is over: not after the default two minutes.
AuthInfo=cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile=/run/slurmctld.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdPidFile=/run/slurmd.pid
SlurmdSpoolDir={folder}/%n/spool
SlurmdLogFile={folder}/log/%n
TmpFS={folder}/%n/tmp
MpiDefault=none
# The nodes share the machine's cores: nothing is bound, and the cores are those that are said here.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
# A node that is gone is noticed soon.
SlurmdTimeout=10
MessageTimeout=5
KillWait=5
ReturnToService=2
JobRequeue=1
NodeName=node[1-{nodes}] NodeAddr={subnet}.[1-{nodes}] CPUs={cpus} RealMemory=4000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=FORCE:4
"""


def why_not() -> str | None:
    """What this machine lacks for a cluster; None if nothing."""
    missing = [tool for tool in TOOLS if _tool(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "namespaces and slurmd need root"
    script = "mount -t tmpfs tmpfs /run && ip link add br0 type bridge && ip link add port type veth peer name plug"
    flags = ["--net", "--uts", "--ipc", "--mount", "--pid", "--fork"]
    tried = subprocess.run(["unshare", *flags, "bash", "-c", script], capture_output=True, text=True, check=False)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _wait(seconds: float, what: str, ready) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.2)


class Cluster:
    """`with Cluster(3) as cluster: cluster.run("srun", "-N", "3", "hostname")`."""

    def __init__(self, nodes: int, cpus: int = 4) -> None:
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.cpus = cpus
        # A short path: sockets that lie in it may have at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="cmslurm-", dir="/tmp"))
        self._holders: dict[str, subprocess.Popen] = {}
        self._pids: dict[str, int] = {}  # of each node's first process
        self._daemons: list[subprocess.Popen] = []

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        for name in ("state", "log"):
            (self.folder / name).mkdir()
        addresses = {LOGIN: f"{SUBNET}.254"} | {node: f"{SUBNET}.{i}" for i, node in enumerate(self.nodes, 1)}
        hosts = "".join(f"{address} {name}\n" for name, address in addresses.items())
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n" + hosts)
        (self.folder / "slurm.conf").write_text(
            SETTINGS.format(login=LOGIN, subnet=SUBNET, folder=self.folder, nodes=len(self.nodes), cpus=self.cpus)
        )
        (self.folder / "key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "key").chmod(0o400)
        self._hold(LOGIN)
        self._in_network(LOGIN, "link", "add", "br0", "type", "bridge")
        self._in_network(LOGIN, "addr", "add", f"{addresses[LOGIN]}/24", "dev", "br0")
        self._in_network(LOGIN, "link", "set", "br0", "up")
        self._daemon(LOGIN, "slurmctld", "-D", "-f", self.folder / "slurm.conf")
        for node in self.nodes:
            self.boot(node)
        _wait(60, f"nodes that are not idle; see {self.folder}/log", self._all_idle)

    def _stop(self) -> None:
        for name in list(self._holders):
            self._release(name)
        for daemon in self._daemons:
            daemon.wait()
        if "KEEP_SLURM_CLUSTER" in os.environ:  # its logs, to look at
            print(f"slurm_cluster: logs are in {self.folder}/log", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _all_idle(self) -> bool:
        idle = self.run("sinfo", "-h", "-t", "idle", "-o", "%D", check=False).stdout.strip()
        return idle == str(len(self.nodes))

    # Nodes -------------------------------------------------------------------------------------

    def boot(self, node: str) -> None:
        """Starts a node, or starts it again after a crash."""
        number = self.nodes.index(node) + 1
        (self.folder / node / "spool").mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / node / "tmp", ignore_errors=True)  # as when a machine starts
        (self.folder / node / "tmp").mkdir()
        self._hold(node)
        with contextlib.suppress(subprocess.CalledProcessError):  # of a crashed node
            self._in_network(LOGIN, "link", "del", f"to{number}")
        pid = str(self._pids[node])
        self._in_network(LOGIN, "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0", "netns", pid)
        self._in_network(LOGIN, "link", "set", f"to{number}", "master", "br0", "up")
        self._in_network(node, "addr", "add", f"{SUBNET}.{number}/24", "dev", "eth0")
        self._in_network(node, "link", "set", "eth0", "up")
        self._daemon(node, "slurmd", "-D", "-f", self.folder / "slurm.conf")

    def crash(self, node: str) -> None:
        """The node's power is off: every process on it is gone."""
        self._release(node)

    def link(self, node: str, state: str) -> None:
        """Cuts a node's cable ("down") or mends it ("up")."""
        self._in_network(LOGIN, "link", "set", f"to{self.nodes.index(node) + 1}", state)

    def shape(self, rate: str) -> None:
        """Limits every node's link, both ways, to a rate as tc has it: 100mbit."""
        for number, node in enumerate(self.nodes, 1):
            for where, device in ((LOGIN, f"to{number}"), (node, "eth0")):
                limit = ["rate", rate, "burst", "256kb", "latency", "50ms"]
                tc = ["tc", "qdisc", "replace", "dev", device, "root", "tbf", *limit]
                subprocess.run(["nsenter", "--target", str(self._pids[where]), "--net", *tc], check=True)

    def processes(self, node: str, name: str) -> list[int]:
        """Of a node: the processes that run this program."""
        home = os.readlink(f"/proc/{self._pids[node]}/ns/net")
        found = []
        for comm in Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if comm.read_text().strip() == name and os.readlink(comm.parent / "ns/net") == home:
                    found.append(int(comm.parent.name))
        return found

    # Commands ----------------------------------------------------------------------------------

    def command(self, *words: object, node: str = LOGIN) -> list[str]:
        """What runs these words on a node, in this folder."""
        here = ["bash", "-c", 'cd "$0" && exec "$@"', os.getcwd()]  # entering a mount namespace leaves it
        return [*self._enter(node), *here, *map(str, words)]

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_mpi_yield_when_idle": "1",  # the nodes share the machine's cores
        }

    def start(self, *words: object, node: str = LOGIN, **options) -> subprocess.Popen:
        return subprocess.Popen(self.command(*words, node=node), env=self.environment(), **options)

    def run(self, *words: object, node: str = LOGIN, seconds: float = 120, check: bool = True):
        """Runs a command to its end; its output as text."""
        return subprocess.run(
            self.command(*words, node=node),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=check,
        )

    def _enter(self, node: str) -> list[str]:
        spaces = ["--net", "--uts", "--ipc", "--mount", "--pid"]
        return ["nsenter", "--target", str(self._pids[node]), *spaces, "--"]

    def _in_network(self, node: str, *words: str) -> None:
        """`ip` in a node's network; it sees the machine's processes."""
        command = ["nsenter", "--target", str(self._pids[node]), "--net", str(_tool("ip")), *words]
        subprocess.run(command, check=True, capture_output=True)

    def _hold(self, name: str) -> None:
        """Makes a node's namespaces, and the daemon that vouches for who sends what."""
        flags = ["--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        init = ["bash", "-c", INIT, "init", name, str(self.folder)]
        log = (self.folder / "log" / f"{name}.init").open("a")
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *flags, *init],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self._holders[name] = holder
        if holder.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name} can't be set up: {(self.folder / 'log' / f'{name}.init').read_text()}")
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        self._pids[name] = int(children[0])
        # One for each node, with one key: a shared one would take a broadcast's second copy for a replay.
        own = self.folder / "log" / f"{name}.munge"
        files = [f"--{what}-file={own}.{what}" for what in ("log", "seed")]
        files.append("--pid-file=/run/munge/munged.pid")
        self._daemon(name, "munged", "--foreground", "--force", f"--key-file={self.folder}/key", *files)
        _wait(10, f"munged of {name}", lambda: self._has_socket(name))

    def _has_socket(self, name: str) -> bool:
        return Path(f"/proc/{self._pids[name]}/root/run/munge/munge.socket.2").exists()

    def _daemon(self, node: str, program: str, *arguments: object) -> None:
        log = (self.folder / "log" / f"{node}.{program}").open("a")
        command = [*self._enter(node), str(_tool(program)), *map(str, arguments)]
        self._daemons.append(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        )

    def _release(self, name: str) -> None:
        """With its first process all of a node's end."""
        holder = self._holders.pop(name)
        holder.kill()
        holder.wait()


def main() -> int:
    reason = why_not()
    if reason is not None:
        print(f"slurm_cluster: {reason}", file=sys.stderr)
        return 1
    with Cluster(int(sys.argv[1])) as cluster:
        return cluster.start(*(sys.argv[2:] or ["bash"])).wait()


if __name__ == "__main__":
    sys.exit(main())
