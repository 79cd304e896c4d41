"""lab-iam: the lab's STS, Secrets Manager and IAM. Emulated, but what it checks it really checks.

STS answers at https://sts.<region>.amazonaws.com, Secrets Manager at its own name, the agent of EKS Pod Identity
at `lab.iam.pod_identity.URI`. The administration endpoint
(``lab.world.LAB_IAM_ADMIN``, plain HTTP) serves the lab's servers, faults and tests; `lab.iam.control` speaks to it:

===========================  ==========================================================================================
POST /verify                 ``{"kind": "msk", "url", "cluster"}``, ``{"kind": "rds", "token", "user"}`` or ``{"kind":
                             "aoss", "method", "raw_path", "headers", "body_sha256"}`` -> ``allowed``, ``reason``,
                             ``message`` (MSK's text), ``principal``, ``role_arn``, ``expires`` (ms), ``cause``,
                             ``api_access``
POST /authorize              ``[{"principal", "action", "resource"}]`` -> ``[{"allowed"}]`` by the identity policies
POST /aoss/authorize         ``[{"principal", "permission", "resource"}]`` -> ``[{"allowed"}]`` by data access policies
GET, PUT, PATCH /state       the account (`lab.iam.state`); PATCH merges, null removes; acts at once
POST /reset                  back to the default state (`lab.iam.defaults`)
GET /log                     the last refusals with their true reasons
GET /counters                how often since the start: STS's actions, and the kinds of /verify
POST /credentials            ``{"role", "session", "seconds"}`` -> credentials without a web identity token, for tests
POST /credentials/expire     end all temporary credentials
===========================  ==========================================================================================
"""
