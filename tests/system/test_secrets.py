"""What a server writes, its log at its most talkative included, holds no key, no header and nothing that a user said."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.system import graphs
from tests.system.caller import taken
from tests.system.servers import ADMIN_KEY, Cluster

SAID = "the-words-of-a-user"
KEY = "key-of-an-idempotent-caller"


async def test_logs_tell_no_secret(tmp_path: Path) -> None:
    async with Cluster(tmp_path, environment={"LOG_LEVEL": "DEBUG"}) as cluster:
        server = cluster.servers[0]
        made = await cluster.command("keys", "create", "--workspace", "default", "--scopes", "run")
        secret = made.splitlines()[0]
        given = {"Authorization": f"Bearer {secret}"}
        workflow = await server.workflow(graphs.asking("One?", SAID), name=SAID)
        run = (await server.started(workflow, message=SAID, runtime_variables={"said": SAID}, run_by=SAID))["run_id"]
        taken(await server.execute(workflow, run, message=SAID, key=KEY))
        failing = await server.workflow(graphs.working(fail_attempts=1, value=SAID))
        await server.started(failing, message=SAID)
        breaking = await server.workflow(graphs.working(nonsense=SAID))  # the performer raises something unexpected
        await server.started(breaking)
        for body in (b'{"run_input": {"message": "%s"' % SAID.encode(), b"\xff" + SAID.encode()):
            refused = await server.client.post(f"/v1/workflows/{workflow}/execute", content=body, headers=given)
            assert refused.status_code in (400, 415, 422)
        await server.client.get(f"/v1/workflow-runs?search={SAID}", headers=given)
        await server.client.get(f"/v1/{SAID}", headers={"Authorization": f"Bearer wrong-{ADMIN_KEY}"})
        slow = await server.workflow(graphs.working(sleep_seconds=1.2))
        await server.started(slow, message=SAID)
        killed = cluster.kill_database()
        await asyncio.gather(*(server.execute(workflow, message=SAID, key=f"{KEY}{n}") for n in range(5)))
        await cluster.database_is_back(killed)
        await server.stop()
        written = server.log().replace('-H "Authorization: Bearer $(cat', "")  # of the two printed commands
        for hidden in (ADMIN_KEY, secret, SAID, KEY, "Authorization", "authorization", "Bearer"):
            assert hidden not in written, written
        assert '"path": "/v1/workflows/{workflow_id' in written, "requests were logged"
