"""A real SLURM of two nodes on this machine, without systemd and cgroups: `python tests/slurm/cluster.py start DIR`.

Debian's `slurm-wlm` and `munge`, with accounting `slurmdbd` and `mariadb-server` too; root alone. Two slurmd on one
host are two nodes; limits of memory are not enforced. Partitions: `low` gives way to `high` and its jobs are requeued,
those of `doomed` are cancelled instead, those of `abrupt` without a grace time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")
NEEDED_FOR_ACCOUNTS = ("slurmdbd", "mariadbd", "mariadb-install-db")
NODES = ("n1", "n2")
DAEMONS = ("controller", "accounts", "database", *NODES)
"""What listens on a port, each on one that is free when the cluster starts: several may run side by side.

Jobs are numbered from the controller's, since where ranks meet follows from a job's number.
"""

CONFIGURATION = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
FirstJobId={controller}
AuthType=auth/munge
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SwitchType=switch/none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/pid/slurmctld
SlurmdPidFile={folder}/pid/slurmd-%n
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/slurmd-%n
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=3,batch_sched_delay=0,sched_min_interval=100000,bf_interval=3
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=20
InactiveLimit=0
MinJobAge=300
SlurmctldTimeout=60
SlurmdTimeout=60
AuthInfo=cred_expire=5
{accounting}
{nodes}
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=180
PartitionName=doomed Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL GraceTime=180
PartitionName=abrupt Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL GraceTime=0
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
"""
ACCOUNTS = """
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounts}
SlurmUser=root
LogFile={folder}/log/slurmdbd
PidFile={folder}/pid/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""


def why_not(with_accounts: bool = False) -> str | None:
    """Why this machine cannot start one; None where it can."""
    needed = NEEDED + (NEEDED_FOR_ACCOUNTS if with_accounts else ())
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [name for name in needed if shutil.which(name, path=path) is None]
    if absent:
        return f"no {', '.join(absent)} here: apt-get install slurm-wlm munge slurmdbd mariadb-server"
    return None if os.geteuid() == 0 else "a SLURM for tests is started by root"


@attrs.frozen
class Cluster:
    """The daemons whose files are in a folder."""

    folder: Path
    with_accounts: bool = False

    @property
    def conf(self) -> Path:
        """What SLURM_CONF names."""
        return self.folder / "slurm.conf"

    def start(self) -> None:
        """Start the daemons and wait for idle nodes; they know their processes by the folder."""
        for name in ("state", "pid", "log", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o755)
        for node in NODES:
            (self.folder / "spool" / node).mkdir(exist_ok=True)
        ports = _free_ports()
        self._write_conf(ports)
        _name_hosts()
        _start_munge()
        if self.with_accounts:
            self._start_accounts(ports)
        self._run("/usr/sbin/slurmctld", "-c", "-f", str(self.conf))
        for node in NODES:
            self._run("/usr/sbin/slurmd", "-N", node, "-f", str(self.conf))
        _wait(lambda: self.output("sinfo", "-h", "-o", "%t %D").split() == ["idle", str(len(NODES))], "idle nodes")

    def output(self, *command: str) -> str:
        """What a command prints that talks to this cluster."""
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60)
        return done.stdout

    @property
    def environ(self) -> dict[str, str]:
        """The environment of commands that talk to it."""
        return {**os.environ, "SLURM_CONF": str(self.conf), "SLURM_TIME_FORMAT": "standard"}

    def stop(self) -> None:
        """End all jobs, then the daemons, by the process ids that they wrote down."""
        self.output("scancel", "--state=RUNNING")
        self.output("scancel", "--state=PENDING")
        for name in (*(f"slurmd-{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadb"):
            file = self.folder / "pid" / name
            with contextlib.suppress(OSError, ValueError):
                pid = int(file.read_text())
                os.kill(pid, signal.SIGTERM)
                _wait(lambda pid=pid: not Path(f"/proc/{pid}/stat").exists() or _is_dead(pid), f"the end of {name}")

    def _write_conf(self, ports: Mapping[str, int]) -> None:
        accounting = ["AccountingStorageType=accounting_storage/none"]
        if self.with_accounts:
            accounting = ["AccountingStorageType=accounting_storage/slurmdbd", "AccountingStorageHost=127.0.0.1"]
            accounting.append(f"AccountingStoragePort={ports['accounts']}")
        host = socket.gethostname().partition(".")[0]
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=8000 State=UNKNOWN"
            for node, port in ports.items()
            if node in NODES
        ]
        parts = {"accounting": "\n".join(accounting), "nodes": "\n".join(nodes), "host": host, "folder": self.folder}
        self.conf.write_text(CONFIGURATION.format(controller=ports["controller"], **parts))

    def _start_accounts(self, ports: Mapping[str, int]) -> None:
        data, log = self.folder / "database", self.folder / "log" / "mariadb"
        data.mkdir(exist_ok=True)
        user = pwd.getpwnam("mysql")
        os.chown(data, user.pw_uid, user.pw_gid)
        pid, socket_file = self.folder / "pid" / "mariadb", data / "socket"
        own = ("--user=mysql", f"--datadir={data}")
        if not (data / "mysql").exists():
            self._run("mariadb-install-db", *own)
        words = [*own, f"--socket={socket_file}", "--bind-address=127.0.0.1", f"--port={ports['database']}"]
        words += ["--innodb-buffer-pool-size=128M", "--innodb-lock-wait-timeout=900"]
        with log.open("w") as output:
            database = subprocess.Popen(
                ["/usr/sbin/mariadbd", "--no-defaults", *words], stdout=output, stderr=output, start_new_session=True
            )
        pid.write_text(str(database.pid))
        _wait(lambda: bool(self.output("mariadb-admin", f"--socket={socket_file}", "ping")), "the database")
        grants = "".join(
            f"CREATE USER IF NOT EXISTS 'slurm'@'{host}' IDENTIFIED BY 'slurm';"
            f"GRANT ALL ON slurm_acct_db.* TO 'slurm'@'{host}';"
            for host in ("127.0.0.1", "localhost")
        )
        self._run("mariadb", f"--socket={socket_file}", "-e", f"CREATE DATABASE IF NOT EXISTS slurm_acct_db;{grants}")
        settings = self.folder / "slurmdbd.conf"
        settings.write_text(ACCOUNTS.format(folder=self.folder, **ports))
        settings.chmod(0o600)
        self._run("/usr/sbin/slurmdbd")
        _wait(
            lambda: "lab" in self.output("sacctmgr", "-n", "-i", "add", "cluster", "lab") + self._clusters(), "accounts"
        )

    def _clusters(self) -> str:
        return self.output("sacctmgr", "-n", "show", "cluster")

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")


def _free_ports() -> dict[str, int]:
    """A port of its own for each daemon."""
    with contextlib.ExitStack() as stack:
        taken = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in DAEMONS}
        return {name: one.getsockname()[1] for name, one in taken.items()}


def _name_hosts() -> None:
    """Node names are host names to those who look for rank 0."""
    hosts = Path("/etc/hosts")
    known = {name for line in hosts.read_text().splitlines() for name in line.partition("#")[0].split()[1:]}
    with hosts.open("a") as file:
        file.writelines(f"127.0.0.1 {node}\n" for node in NODES if node not in known)


def _start_munge() -> None:
    if subprocess.run(["sh", "-c", "munge -n | unmunge"], capture_output=True).returncode == 0:
        return
    folder = Path("/run/munge")
    folder.mkdir(exist_ok=True)
    shutil.chown(folder, "munge", "munge")
    folder.chmod(0o755)
    subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", "/usr/sbin/munged"], check=True, capture_output=True)
    subprocess.run(["sh", "-c", "munge -n | unmunge"], check=True, capture_output=True)


def _is_dead(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not Path(f"/proc/{pid}/stat").exists()


def _wait(is_so: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds:g} s for {what}")
        time.sleep(0.2)


def main() -> None:
    """Start or stop one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("start", "stop"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--accounts", action="store_true")
    words = parser.parse_args()
    cluster = Cluster(words.folder.resolve(), words.accounts)
    if words.what == "stop":
        cluster.stop()
        return
    if (reason := why_not(words.accounts)) is not None:
        sys.exit(reason)
    cluster.start()
    print(f"export SLURM_CONF={cluster.conf}")


if __name__ == "__main__":
    main()
