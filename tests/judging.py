"""Judges many answers to one sheet in one sandbox: a copy of the kernel for each."""

import asyncio

from grading.judge.limits import Limits
from grading.judge.referee import Sitting
from grading.sandbox.kernel import Kernel

USUAL = Limits()
_COPY = """\
def _copy(path, sources):
    import linecache, os
    from grading.boundary import inside
    if pid := os.fork():
        return pid
    inside.be_quiet()
    for number, source in enumerate(sources):
        name = f"<cell {number}>"
        lines = source.splitlines(keepends=True)
        linecache.cache[name] = (len(source), None, lines, name)
        try:
            exec(compile(source, name, "exec"), globals())
        except BaseException:
            pass
    try:
        inside.serve(path, globals())
    finally:
        os._exit(0)
"""


class Court:
    """One sandbox and one bench for a sheet; used as a context.

    kind: of the sandbox, as of provisioners.kernel_manager.
    """

    def __init__(self, bundle, kind="warm", limits=USUAL):
        self.bundle = bundle
        self.kind, self.limits = kind, limits

    def __enter__(self):
        self.runner = asyncio.Runner()
        self.sitting = Sitting(self.bundle)
        self.kernel = Kernel(self.kind, self.limits)
        self.runner.run(self.kernel.start([*self.bundle.setup, _COPY]))
        return self

    def __exit__(self, *_):
        self.sitting.close()
        self.runner.run(self.kernel.close())
        self.runner.close()

    def judge(self, grade_id, sources, limits=None):
        """What the test `grade_id` says where the cells `sources` have been run."""
        connection, pid = self.runner.run(self._copy(sources))
        with connection:
            verdict = self.sitting.test(grade_id, connection, limits or self.limits)
        return verdict

    async def _copy(self, sources):
        code = f"_copy({self.kernel.door.path!r}, {list(sources)!r})"
        reply = await self.kernel.run("", 20, {"pid": code})
        said = reply["user_expressions"]["pid"]
        assert said["status"] == "ok", said
        return await self.kernel.door.accept(20), int(said["data"]["text/plain"])


def answer_cases(bundle, answers):
    """(grade_id, answer, sources) of every answer, with the solutions before it."""
    before = []
    for cell in bundle.cells:
        if cell.role != "solution":
            continue
        for answer in answers.get(cell.grade_id, ()):
            yield cell.grade_id, answer, [*before, answer.code]
        before.append(cell.source)
