from __future__ import annotations

from bai_tui.app.model.secrets import names_a_secret


def test_names_of_secrets() -> None:
    names = """
        BACKEND_SECRET_KEY BACKEND_ACCESS_KEY UV_PUBLISH_TOKEN UV_INDEX_HOME_PASSWORD AWS_ACCESS_KEY_ID OPENAI_API_KEY
        GITHUB_TOKEN AWS_SECRET_ACCESS_KEY MYSQL_PASSWORD secret_thing GOOGLE_CREDENTIALS PRIVATE_KEY
    """
    assert [name for name in names.split() if not names_a_secret(name)] == []


def test_names_of_other_things() -> None:
    names = """
        PATH HOME TZ PIP_INDEX_URL UV_CACHE_DIR TOKENIZERS_PARALLELISM KEYBOARD NVIDIA_VISIBLE_DEVICES PWD SSH_AUTH_SOCK
    """
    assert [name for name in names.split() if names_a_secret(name)] == []
