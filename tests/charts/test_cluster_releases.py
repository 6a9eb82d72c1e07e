"""Releases of charts/hop in a real API server, with the real controllers behind it: what belongs to
whom, what an upgrade touches, and who says how many pods there are.
"""

import pathlib
import shutil
import tempfile
import unittest

from harness.charts import CHARTS
from harness.cluster import Cluster
from harness.namespace import Namespace
from harness.wait import eventually

HELMS = ("helm", "helm3")
KINDS = "deployments,services,serviceaccounts,configmaps,pods,poddisruptionbudgets"

PROD = {"role": "middleware"}
CANARY = {"role": "middleware", "version": "canary"}
BACKEND = {"role": "backend"}


def setUpModule():
    global cluster
    cluster = unittest.enterModuleContext(Cluster())


def owner(found):
    return found["metadata"]["annotations"]["meta.helm.sh/release-name"]


def managers(found):
    """Who has said something about it, and how: ("helm", "Apply")."""
    return {(one["manager"], one["operation"]) for one in found["metadata"]["managedFields"]}


def container(found):
    (one,) = found["spec"]["template"]["spec"]["containers"]
    return one


class ReleaseTest(unittest.TestCase):
    """Each test has a namespace of its own, which goes with the cluster."""

    def setUp(self):
        self.namespace = Namespace(cluster)

    def releases(self, release):
        """The names of all objects that are this release's."""
        labels = {"app.kubernetes.io/instance": release}
        return set(self.namespace.all(KINDS, **labels))

    def changed_copy(self, name, changes):
        """A chart of ours, of which a file of templates or the like says something else."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="tracehop-")))
        copy = shutil.copytree(CHARTS / name, folder / name)
        for file, (old, new) in changes.items():
            text = (copy / file).read_text(encoding="utf-8")
            self.assertIn(old, text)
            (copy / file).write_text(text.replace(old, new), encoding="utf-8")
        return copy


class TwoVersions(ReleaseTest):
    def setUp(self):
        super().setUp()
        self.namespace.install("middleware-prod", **PROD)

    def install_canary(self):
        self.namespace.install("middleware-canary", **CANARY)

    def test_the_service_of_the_role_has_both_and_that_of_a_version_one(self):
        self.install_canary()
        prod, canary = (self.namespace.addresses(version=name) for name in ("prod", "canary"))

        self.assertEqual((len(prod), len(canary)), (1, 1))
        self.namespace.wait_for_endpoints("middleware", prod | canary)
        self.namespace.wait_for_endpoints("middleware-prod", prod)
        self.namespace.wait_for_endpoints("middleware-canary", canary)

    def test_what_both_need_is_there_once_and_is_prods(self):
        self.install_canary()

        self.assertEqual(
            set(self.namespace.all("services")),
            {"middleware", "middleware-prod", "middleware-canary"},
        )
        self.assertEqual(
            set(self.namespace.all("serviceaccounts")) - {"default"}, {"middleware"}
        )
        for kind in ("service", "serviceaccount"):
            self.assertEqual(owner(self.namespace.get(kind, "middleware")), "middleware-prod")
        accounts = {pod["spec"]["serviceAccountName"] for pod in self.namespace.pods().values()}
        self.assertEqual(accounts, {"middleware"})

    def test_a_canary_that_wants_what_is_prods_is_refused_by_its_name(self):
        for program in HELMS:
            with self.subTest(program):
                said = self.namespace.refusal(
                    "install", f"greedy-{program}", CHARTS / "hop",
                    values={**CANARY, "shared": {"create": True}}, program=program,
                )  # fmt: skip

                self.assertIn('"middleware" in namespace', said)
                self.assertIn("invalid ownership metadata", said)
                self.assertIn(f'must equal "greedy-{program}"', said)
                self.assertIn('current value is "middleware-prod"', said)
                self.assertEqual(self.releases(f"greedy-{program}"), set())

    def test_a_canary_that_goes_takes_only_what_is_its_own(self):
        before = self.releases("middleware-prod")
        self.install_canary()
        self.namespace.uninstall("middleware-canary")

        self.assertEqual(self.releases("middleware-canary"), set())
        self.assertEqual(self.releases("middleware-prod"), before)
        self.namespace.wait_for_endpoints("middleware", self.namespace.addresses(version="prod"))


class WithoutProd(ReleaseTest):
    """What the chart's README and notes say of it."""

    def assert_no_pod_for_want_of_an_account(self):
        events = ("events", "--field-selector", "reason=FailedCreate")
        said = eventually(lambda: self.namespace.list(*events), "pods are missing")

        self.assertIn('serviceaccount "middleware" not found', said[-1]["message"])

    def test_a_canary_that_came_first_says_what_is_missing_and_starts_once_it_is_there(self):
        install = ("middleware-canary", CHARTS / "hop")
        said = self.namespace.helm("install", *install, values=CANARY)
        self.assertIn("WARNING: the Service middleware is not there", said)
        self.assertIn("helm install middleware-prod charts/hop", said)
        self.assert_no_pod_for_want_of_an_account()

        self.namespace.install("middleware-prod", **PROD)
        eventually(lambda: self.namespace.endpoints("middleware-canary"), "the canary starts")

    def test_a_canary_that_stays_behind_keeps_its_own_service(self):
        self.namespace.install("middleware-prod", **PROD)
        self.namespace.install("middleware-canary", **CANARY)
        self.namespace.uninstall("middleware-prod")

        self.assertEqual(set(self.namespace.all("services")), {"middleware-canary"})
        self.namespace.wait_for_endpoints("middleware-canary", self.namespace.addresses())

        said = self.namespace.upgrade("middleware-canary", **CANARY)
        self.assertIn("WARNING: the Service middleware is not there", said)
        pods = ("pods", "--all", "--namespace", self.namespace.name)
        cluster.kubectl("delete", *pods)
        self.assert_no_pod_for_want_of_an_account()

    def test_a_canary_that_stays_behind_may_take_over_until_prod_takes_back(self):
        self.namespace.install("middleware-prod", **PROD)
        self.namespace.install("middleware-canary", **CANARY)
        self.namespace.uninstall("middleware-prod")

        takes = {**CANARY, "shared": {"create": True}}
        said = self.namespace.upgrade("middleware-canary", **takes)
        self.assertNotIn("WARNING", said)
        self.namespace.wait_for_endpoints("middleware", self.namespace.addresses())

        said = self.namespace.refusal("install", "middleware-prod", CHARTS / "hop", values=PROD)
        self.assertIn('current value is "middleware-canary"', said)


class Upgrades(ReleaseTest):
    def setUp(self):
        super().setUp()
        self.namespace.install("backend-prod", **BACKEND)
        self.before = self.seen()

    def seen(self):
        """What may change, and what never may."""
        return {
            "pods": set(self.namespace.pods()),
            "selectors": [
                self.namespace.get("deployment", "backend-prod")["spec"]["selector"],
                *(one["spec"]["selector"] for one in self.namespace.all("services").values()),
            ],
            "addresses": {
                name: one["spec"]["clusterIP"]
                for name, one in self.namespace.all("services").items()
            },
        }

    def assert_only_pods_changed(self):
        after = self.seen()
        self.assertTrue(after["pods"].isdisjoint(self.before["pods"]), after["pods"])
        self.assertEqual({**after, "pods": self.before["pods"]}, self.before)

    def deployed(self):
        return container(self.namespace.get("deployment", "backend-prod"))

    def log_level(self):
        return self.namespace.get("configmap", "backend-prod")["data"]["LOG_LEVEL"]

    def test_another_image_starts_other_pods(self):
        self.namespace.upgrade("backend-prod", **BACKEND, image={"tag": "0.1.1"})

        self.assertEqual(self.deployed()["image"], "tracehop:0.1.1")
        self.assert_only_pods_changed()

    def test_another_setting_starts_other_pods(self):
        self.namespace.upgrade("backend-prod", **BACKEND, log={"level": "debug"})

        self.assertEqual(self.log_level(), "debug")
        self.assert_only_pods_changed()

    def test_labels_of_services_start_none(self):
        self.namespace.upgrade("backend-prod", **BACKEND, service={"labels": {"team": "a"}})

        self.assertEqual(set(self.namespace.all("services", team="a")), {"backend", "backend-prod"})
        self.assertEqual(self.seen(), self.before)

    def test_neither_does_a_newer_chart_with_the_same_image(self):
        versions = ("version: 0.1.0\n", "version: 0.2.0\n"), ('"0.1.0"', '"0.2.0"')
        newer = self.changed_copy("hop", {"Chart.yaml": versions[0]})
        self.namespace.upgrade("backend-prod", newer, **BACKEND)
        self.assertEqual(self.seen(), self.before)

        newest = self.changed_copy("hop", {"Chart.yaml": versions[1]})
        self.namespace.upgrade("backend-prod", newest, **BACKEND)
        self.assertEqual(self.deployed()["image"], "tracehop:0.2.0")
        self.assert_only_pods_changed()

    def test_selectors_must_not_change_for_the_cluster_refuses_it(self):
        label = "app.kubernetes.io/name: {{ .Values.role }}\n"
        other = self.changed_copy(
            "hop", {"templates/_helpers.tpl": (label, f"{label}another: label\n")}
        )

        said = self.namespace.refusal("upgrade", "backend-prod", other, values=BACKEND)
        self.assertIn("field is immutable", said)

    def test_a_rollback_brings_the_same_pods_template_back(self):
        template = self.namespace.get("deployment", "backend-prod")["spec"]["template"]
        self.namespace.upgrade(
            "backend-prod", **BACKEND, image={"tag": "0.1.1"}, log={"level": "debug"}
        )
        self.namespace.helm("rollback", "backend-prod", "1", "--wait")

        deployment = self.namespace.get("deployment", "backend-prod")
        self.assertEqual(deployment["spec"]["template"], template)
        self.assertEqual(self.log_level(), "info")
        self.assert_only_pods_changed()
        # Not a third one: Kubernetes, too, sees that it is the first.
        self.assertEqual(len(self.namespace.all("replicasets")), 2)

    def test_one_that_fails_can_be_told_to_leave_nothing_behind(self):
        said = self.namespace.refusal(
            "upgrade", "backend-prod", CHARTS / "hop", "--rollback-on-failure", "--timeout", "3s",
            values={**BACKEND, "serviceAccount": {"name": "nobody"}},
        )  # fmt: skip

        self.assertIn("rolled back", said)
        spec = self.namespace.get("deployment", "backend-prod")["spec"]["template"]["spec"]
        self.assertEqual(spec["serviceAccountName"], "backend")
        self.assertEqual(self.seen(), self.before)


class Replicas(ReleaseTest):
    def test_an_upgrade_does_not_overrule_somebodys_hand_in_silence(self):
        self.namespace.install("backend-prod", **BACKEND)
        self.namespace.scale("backend-prod", 3)
        upgrade = ("upgrade", "backend-prod", CHARTS / "hop")

        said = self.namespace.refusal(*upgrade, values=BACKEND)
        self.assertIn('conflict with "kubectl"', said)
        self.assertIn(".spec.replicas", said)
        self.assertEqual(self.namespace.replicas("backend-prod"), 3)

        self.namespace.upgrade("backend-prod", **BACKEND, replicas=3)
        self.assertEqual(self.namespace.replicas("backend-prod"), 3)

        self.namespace.scale("backend-prod", 4)
        self.namespace.upgrade("backend-prod", "hop", "--force-conflicts", **BACKEND)
        self.assertEqual(self.namespace.replicas("backend-prod"), 1)

    def test_what_the_autoscaler_says_survives_upgrades_and_rollbacks(self):
        scaled = {**BACKEND, "autoscaling": {"enabled": True, "minReplicas": 2}}
        self.namespace.install("backend-prod", **scaled)
        eventually(lambda: self.namespace.replicas("backend-prod") == 2, "the autoscaler speaks")

        # As it does under load, of which there is none here.
        self.namespace.scale("backend-prod", 5)
        self.namespace.upgrade("backend-prod", **scaled, log={"level": "debug"})
        self.assertEqual(self.namespace.replicas("backend-prod"), 5)
        self.namespace.helm("rollback", "backend-prod", "--wait")
        self.assertEqual(self.namespace.replicas("backend-prod"), 5)

    def test_autoscaling_may_begin_with_the_pods_of_somebodys_hand(self):
        self.namespace.install("backend-prod", **BACKEND, replicas=3)
        self.namespace.scale("backend-prod", 4)
        self.namespace.upgrade("backend-prod", **BACKEND, autoscaling={"enabled": True})

        self.assertEqual(self.namespace.replicas("backend-prod"), 4)


class Helm3(ReleaseTest):
    def test_it_installs_upgrades_rolls_back_and_leaves_nothing(self):
        old = {"program": "helm3"}
        self.namespace.install("middleware-prod", **old, **PROD)
        self.namespace.install("middleware-canary", **old, **CANARY)
        self.namespace.wait_for_endpoints("middleware", self.namespace.addresses())

        self.namespace.upgrade("middleware-canary", **old, **CANARY, image={"tag": "0.1.1"})
        self.namespace.helm("rollback", "middleware-canary", "--wait", **old)
        deployment = self.namespace.get("deployment", "middleware-canary")
        self.assertEqual(container(deployment)["image"], "tracehop:0.1.0")

        for release in ("middleware-canary", "middleware-prod"):
            self.namespace.uninstall(release, **old)
            self.assertEqual(self.releases(release), set())

    def test_what_somebodys_hand_says_is_lost_in_silence(self):
        self.namespace.install("backend-prod", program="helm3", **BACKEND)
        self.namespace.scale("backend-prod", 3)
        self.namespace.upgrade("backend-prod", program="helm3", **BACKEND, log={"level": "debug"})

        self.assertEqual(self.namespace.replicas("backend-prod"), 1)

    def test_helm_4_goes_on_with_its_releases_and_makes_them_its_own_when_told(self):
        self.namespace.install("backend-prod", program="helm3", **BACKEND)
        pods = set(self.namespace.pods())

        self.namespace.upgrade("backend-prod", **BACKEND)
        self.assertIn(("helm", "Update"), self.managers_of_backend())

        self.namespace.upgrade("backend-prod", "hop", "--server-side=true", **BACKEND)
        self.assertIn(("helm", "Apply"), self.managers_of_backend())
        self.assertNotIn(("helm", "Update"), self.managers_of_backend())
        self.assertEqual(set(self.namespace.pods()), pods)

        # Of what is its own, it takes away what it says no more.
        self.namespace.upgrade("backend-prod", **BACKEND, probes={"liveness": None})
        deployment = self.namespace.get("deployment", "backend-prod")
        self.assertNotIn("livenessProbe", container(deployment))
        self.namespace.uninstall("backend-prod")
        self.assertEqual(self.releases("backend-prod"), set())

    def managers_of_backend(self):
        return managers(self.namespace.get("deployment", "backend-prod", "--show-managed-fields"))
