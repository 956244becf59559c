"""What this project's server is compared with in ``serving.py``: each a process with the model of a file, on a port of this machine.

    python _serving_others.py {floor,floor_thread,mlflow,mlserver,litserve,bentoml} MODEL PORT

Each peer runs in an environment of its own, by its own command and on its own recommended way for one core. The floor is a bare ASGI
application on uvicorn and httptools: orjson, one matrix, ``predict_proba``, orjson. It looks at no path, no header and no type.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def _loaded(path: str) -> Any:
    import joblib

    return joblib.load(path)


def floor(path: str, port: int, *, threaded: bool = False) -> None:
    """The bare application: the model in the event loop, or one hop away in a thread."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import orjson
    import uvicorn

    model, threads = _loaded(path), ThreadPoolExecutor(1)  # as many as this project's server has
    predict, classes = model.predict_proba, model.classes_

    def answer(body: bytes) -> bytes:
        rows = np.array(orjson.loads(body)["dataframe_split"]["data"], dtype=np.float64)
        probability = predict(rows)
        found = {"prediction": classes[probability.argmax(axis=1)], "probability": probability}
        return orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY)

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        found = await asyncio.get_running_loop().run_in_executor(threads, answer, body) if threaded else answer(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(found)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": found})

    uvicorn.run(
        app,
        port=port,
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )


def mlflow(path: str, port: int) -> None:
    """``mlflow models serve``, one worker."""
    import mlflow as library

    folder = Path(path).with_name("mlflow")
    if not folder.exists():
        library.sklearn.save_model(_loaded(path), folder, pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle")
    _become("mlflow", "models", "serve", "-m", str(folder), "-p", str(port), "-h", "127.0.0.1", "-w", "1", "--env-manager", "local")


def mlserver(path: str, port: int) -> None:
    """``mlserver start`` with ``parallel_workers`` 0, on the asyncio loop."""
    folder = Path(path).with_name("mlserver")
    folder.mkdir(exist_ok=True)
    settings = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "parallel_workers": 0, "host": "127.0.0.1"}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": path}}
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    _become("mlserver", "start", str(folder))


def litserve(path: str, port: int) -> None:
    """One worker, in a program of its own: its worker process imports it."""
    program = Path(path).with_name("lit.py")
    program.write_text(LITSERVE.format(path=path, port=port), encoding="utf-8")
    os.execv(sys.executable, [sys.executable, str(program)])  # noqa: S606  no shell is wanted


def bentoml(path: str, port: int) -> None:
    """``bentoml serve``, one worker."""
    folder = Path(path).with_name("bentoml")
    folder.mkdir(exist_ok=True)
    (folder / "service.py").write_text(SERVICE.format(path=path), encoding="utf-8")
    _become("bentoml", "serve", "service:Model", "--working-dir", str(folder), "--port", str(port), "--host", "127.0.0.1")


LITSERVE = """
import joblib, litserve, numpy as np

class Api(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load({path!r})

    def decode_request(self, request):
        return np.array(request["dataframe_split"]["data"])

    def predict(self, rows):
        return self.model.predict_proba(rows)

    def encode_response(self, output):
        return {{"probability": output.tolist()}}

if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(port={port}, host="127.0.0.1", num_api_servers=1, generate_client_file=False, log_level="error")
"""


SERVICE = """
import bentoml, joblib, numpy as np

@bentoml.service(workers=1)
class Model:
    def __init__(self):
        self.model = joblib.load({path!r})

    @bentoml.api
    def predict(self, dataframe_split: dict) -> dict:
        return {{"probability": self.model.predict_proba(np.array(dataframe_split["data"])).tolist()}}
"""


def _become(name: str, *arguments: str) -> None:
    program = str(Path(sys.executable).with_name(name))
    quiet = {
        "BENTOML_DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "1",
        "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
    }
    os.execve(program, [program, *arguments], {**os.environ, **quiet})  # noqa: S606  no shell is wanted


SIDES: dict[str, Callable[[str, int], None]] = {
    "floor": floor,
    "floor_thread": lambda path, port: floor(path, port, threaded=True),
    "mlflow": mlflow,
    "mlserver": mlserver,
    "litserve": litserve,
    "bentoml": bentoml,
}


if __name__ == "__main__":
    kind, file, number = sys.argv[1:]
    if number == "versions":
        names = {"floor": ["uvicorn"], "floor_thread": ["uvicorn"], "mlserver": ["mlserver", "mlserver-sklearn"]}.get(kind, [kind])
        print(json.dumps({name: version(name) for name in (*names, "scikit-learn", "numpy")}))
    else:
        SIDES[kind](file, int(number))
