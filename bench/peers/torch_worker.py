"""The process that holds PyTorch, for peers that time it and Mote in turns: it takes a command a line, answers in a line of
JSON, and ends when its input does."""
import json
import os
import subprocess
import sys

KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2 ** 40)}  # malloc keeps what is freed


def processor():
    """The first CPU's name and, for some names say nothing of it, its widest units for float32."""
    said = {}
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            said.setdefault(key.strip(), value.strip())
    flags = said.get("flags", "").split()
    units = [name for flag, name in (("amx_tile", "AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags]
    return " with ".join([said.get("model name", "unknown"), *units[:1]])


class Worker:
    """`script` once more, with `arguments`; `keep`: malloc keeps the memory of large tensors."""

    def __init__(self, script, arguments, keep=False):
        self.name = os.path.basename(script)
        self.process = subprocess.Popen([sys.executable, os.path.abspath(script), *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **(KEEP if keep else {})})

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name}: the process of PyTorch ended early")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(commands):
    """The worker's side: `commands` has a function a command, from its arguments to what is answered."""
    for line in sys.stdin:
        command, *rest = line.split()
        print(json.dumps(commands[command](*rest)), flush=True)
