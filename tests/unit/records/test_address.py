import pytest

from mlops_core.records import masked_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("mysql+pymysql://svc:p@ss:w0rd@db/x", "mysql+pymysql://svc:***@db/x"),
        ("mysql://svc:p/a?ss#@db/x", "mysql://svc:***@db/x"),
        ("redis://:secret@host", "redis://:***@host"),
        ("postgresql://me:se\ncret@host", "postgresql://me:***@host"),
        ("postgresql://host/db?user=me&password=secret&sslmode=require", "postgresql://host/db?user=me&password=***&sslmode=require"),
        ("https://host/model?X-Amz-Signature=abc&part=1", "https://host/model?X-Amz-Signature=***&part=1"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:///models.db", "sqlite:///models.db"),
        ("no url at all", "no url at all"),
    ],
)
def test_no_secret_is_shown_and_the_rest_is(url: str, shown: str) -> None:
    assert masked_url(url) == shown
