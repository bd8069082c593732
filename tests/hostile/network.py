"""Right answers that talk to somebody. Only this machine's own sockets are tried."""

from tests.hostile.case import collector

CASES, _add = collector("network")


def talk(name, code, **others):
    _add(name, "it is heard", first=code, **others)


talk(
    "over TCP",
    """
    import socket
    with socket.create_connection(("127.0.0.1", PORT), 2) as connection:
        connection.sendall(MARK.encode())
    """,
)
talk(
    "over HTTP",
    """
    import urllib.request
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/{MARK}", timeout=2)
    except OSError:
        pass
    """,
)
talk("by another program", "!bash -c 'echo {MARK} > /dev/tcp/127.0.0.1/{PORT}'")
talk(
    "through a socket in a folder",
    """
    import socket
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(SOCKET)
        connection.sendall(MARK.encode())
    """,
)
talk(
    "through a socket without a folder",
    """
    import socket
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(ABSTRACT)
        connection.sendall(MARK.encode())
    """,
)
talk(
    "while it is tested",
    "",
    answers={
        "double": """
            import socket
            def double(x):
                try:
                    with socket.create_connection(("127.0.0.1", PORT), 2) as other:
                        other.sendall(f"{MARK} {x}".encode())
                except OSError:
                    pass
                return 2 * x
        """
    },
)
talk(
    "from a child that it leaves",
    """
    import subprocess, sys
    code = ("import socket, sys; "
            "c = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2); "
            "c.sendall(sys.argv[2].encode())")
    subprocess.run([sys.executable, "-IS", "-c", code, str(PORT), MARK], timeout=3)
    """,
)


def helper(folder, world, made):
    import json

    from tests.hostile import sheet

    (folder / "helper.py").write_text(
        "import socket\n"
        "def call(port, mark):\n"
        "    with socket.create_connection(('127.0.0.1', port), 2) as connection:\n"
        "        connection.sendall(mark.encode())\n"
    )
    (folder / sheet.NAME).write_text(json.dumps(made))


talk(
    "in a file beside the notebook",
    "import sys\nsys.path.insert(0, '.')\nimport helper\nhelper.call(PORT, MARK)",
    write=helper,
)
