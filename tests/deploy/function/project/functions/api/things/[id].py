from starlette.requests import Request


def get(request: Request) -> dict[str, str]:
    return dict(request.path_params)
