from uadbench_faulty import Faulty as Silent  # noqa: F401 - its docstring lacks
