"""The contender: the obvious loop, one message after the other, over the operator's own client libraries.

Same servers, TLS, IAM, document and row; each step is awaited before the next one begins. It does nothing else:
no log, no retry, no check, no status. Run in the operator's place: ``python -m lab run -- python -m bench.naive …``.
Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import openai
from aiokafka import AIOKafkaConsumer
from aiokafka.abc import AbstractTokenProvider
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from opensearchpy import OpenSearch, RequestsHttpConnection
from requests_aws4auth import AWS4Auth

MODEL = "text-embedding-3-small"
WARM_UP_TEXT = "connectivity check"

INSERT = """
INSERT INTO demo_log (kafka_topic, kafka_partition, kafka_offset, message_content, embedding_model,
                      embedding_dimensions, opensearch_index, opensearch_doc_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


class Token(AbstractTokenProvider):  # type: ignore[misc]
    """The MSK signer's token."""

    async def token(self) -> str:
        token, _ = MSKAuthTokenProvider.generate_auth_token(os.environ["AWS_REGION"])
        return str(token)


async def run(topic: str, index: str, group: str, count: int) -> dict[str, float]:
    """Handle ``count`` messages; time and CPU from the arrival of the first one to the commit of the last one."""
    tls = ssl.create_default_context(cafile=os.environ["EXTRA_CA_FILE"])
    tls.load_verify_locations(os.environ["POSTGRES_CA_FILE"])
    embeddings, documents, rows = _embeddings(tls), _documents(), await _rows(tls)
    await embeddings.create(model=MODEL, input=WARM_UP_TEXT)  # the SDK loads itself at its first use
    consumer = AIOKafkaConsumer(
        topic, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(","), ssl_context=tls,
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Token(),
    )  # fmt: skip
    await consumer.start()
    began = cpu = 0.0
    handled = 0
    async for message in consumer:
        if not handled:
            began, cpu = time.perf_counter(), time.process_time()
        text = message.value.decode()
        answer = await embeddings.create(model=MODEL, input=text)
        vector = answer.data[0].embedding
        position = f"{topic}-{message.partition}-{message.offset}"
        document = {
            "message_id": f"bench-{position}-{message.timestamp}", "topic": topic, "partition": message.partition,
            "offset": message.offset, "text": text, "model": MODEL, "vector": vector, "timestamp": message.timestamp,
        }  # fmt: skip
        written = documents.index(index=index, body=document)
        await rows.execute(
            INSERT, topic, message.partition, message.offset, text, MODEL, len(vector), index, written["_id"]
        )
        await consumer.commit()
        handled += 1
        if handled == count:
            break
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    await consumer.stop()
    return {**spent, "peak": _peak()}


def _peak() -> float:
    """Largest resident memory in MiB. Not getrusage's, which counts what the process was before it ran this program."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _embeddings(tls: ssl.SSLContext) -> Any:
    key = Path(os.environ["OPENAI_API_KEY_FILE"]).read_text().strip()
    return openai.AsyncOpenAI(api_key=key, http_client=openai.DefaultAsyncHttpxClient(verify=tls)).embeddings


def _documents() -> Any:
    credentials = boto3.Session().get_credentials()
    signature = AWS4Auth(
        region=os.environ["AWS_REGION"], service=os.environ["OPENSEARCH_SERVICE"], refreshable_credentials=credentials
    )
    return OpenSearch(
        os.environ["OPENSEARCH_ENDPOINT"] + ":443", http_auth=signature, connection_class=RequestsHttpConnection,
        ca_certs=os.environ["EXTRA_CA_FILE"], timeout=30,
    )  # fmt: skip


async def _rows(tls: ssl.SSLContext) -> Any:
    host, port, user = os.environ["POSTGRES_HOST"], int(os.environ["POSTGRES_PORT"]), os.environ["POSTGRES_USER"]
    password = boto3.client("rds").generate_db_auth_token(host, port, user, os.environ["AWS_REGION"])
    return await asyncpg.connect(
        host=host, port=port, user=user, password=password, database=os.environ["POSTGRES_DB"], ssl=tls
    )


if __name__ == "__main__":
    os.environ["AWS_CA_BUNDLE"] = os.environ["EXTRA_CA_FILE"]
    os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"]  # botocore does not read AWS_REGION
    print(json.dumps(asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))))
