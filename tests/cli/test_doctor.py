"""`kit doctor`: a line a check, and 1 if anything needed is not well."""

SITE = "https://site.example"
KEY = "s3cret-key"


def site(network, status, reason):
    network.get(f"{SITE}/").respond(200)
    network.get(f"{SITE}/.netlify/functions/kit-runs").respond(404)
    network.post(url__startswith=f"{SITE}/.netlify/functions/async-workloads-router").respond(
        status, headers={"x-awl-reason": reason}
    )
    network.post(f"{SITE}/.netlify/functions/async-workloads-api/failed-events").respond(
        400, headers={"x-awl-reason": "missing valid JSON body"}
    )


def test_all_well_is_status_0(kit):
    said = kit("doctor")

    assert said.status == 0
    assert "ok      provider: local (default)\n" in said.out


def test_what_is_not_well_says_what_to_do_and_is_status_1(kit, network, root):
    (root / "functions/workflows/noisy.py").write_text(
        "from kit import define_workflow\nprint('noise')\n@define_workflow\ndef w(): pass\n"
    )
    site(network, 401, "invalid API key")
    said = kit("doctor", "--base-url", SITE, "--api-key", KEY)

    assert said.status == 1
    assert "ok      router: present\n" in said.out
    assert "not ok  key accepted: the API key was refused (401)\n        → Set WORK" in said.out
    assert "ok      management API: present\n" in said.out
    assert "noise" not in said.out
    assert KEY not in said.out + said.err


def test_json_says_the_same(kit, network):
    site(network, 400, "body contained no valid events to process")
    said = kit("doctor", "--json", "--base-url", SITE, "--api-key", KEY)

    assert said.status == 0
    assert said.json["ok"] is True
    [runs] = [each for each in said.json["checks"] if each["name"] == "runs API"]
    assert runs["ok"] is None  # nothing here needs it
    assert "store: blobs" in runs["todo"]
    assert {"name": "router", "ok": True, "why": "present", "todo": ""} in said.json["checks"]
