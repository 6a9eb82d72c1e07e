"""How the page looks: light and dark, wide and narrow, with any chain."""

from browser.chains import Fork, Long, TwoVersions
from harness.browser import (
    FAILED_ANSWERS,
    NARROW,
    WIDE,
    BrowserTest,
    node,
    nodes,
    scrolls_sideways,
    send,
    shares,
)

SCHEMES = ("light", "dark")

# Every visible piece of text with the contrast to what is behind it, by WCAG 2: a canvas turns any
# colour that CSS knows into bytes. What is drawn needs two thirds of it.
CONTRASTS = """() => {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const bytes = (layers) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const layer of layers) {
      pixel.fillStyle = layer;
      pixel.fillRect(0, 0, 1, 1);
    }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const known = new Map();
  const luminance = (layers) => {
    const key = layers.join();
    if (!known.has(key)) known.set(key, measured(layers));
    return known.get(key);
  };
  const measured = (layers) => {
    const [r, g, b] = bytes(layers).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement)
      layers.unshift(getComputedStyle(at).backgroundColor);
    return ["Canvas", ...layers];
  };
  const contrast = (front, back) => {
    const [high, low] = [luminance([...back, front]), luminance(back)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.closest("svg, .unseen, .joint")) continue;
    found.push([text, contrast(getComputedStyle(element).color, behind(element))]);
  }
  const drawn = (selector, property) => {
    for (const element of document.querySelectorAll(selector)) {
      const back = behind(element.closest(".card"));
      found.push([element.outerHTML, 1.5 * contrast(getComputedStyle(element)[property], back)]);
    }
  };
  drawn("input, .node", "borderTopColor");
  drawn("rect.own, .shares rect, .squares g:not(.awaited) rect", "fill");
  return found;
}"""


def styles(locator, name):
    return locator.evaluate_all(f"all => all.map(one => getComputedStyle(one).{name})")


def milliseconds(cell):
    number, unit = cell.inner_text().split()
    return float(number) * {"\u00b5s": 0.001, "ms": 1, "s": 1000}[unit]


class Looks(BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chain = cls.start_shared(TwoVersions())
        cls.base_url = cls.chain.base_url
        cls.fork = cls.start_shared(Fork())

    def setUp(self):
        super().setUp()
        self.tolerated = FAILED_ANSWERS

    def assert_legible(self, page):
        """At least 4.5 : 1 for text, 3 : 1 for what is drawn."""
        contrasts = page.evaluate(CONTRASTS)
        self.assertGreater(len(contrasts), 50)
        self.assertEqual([pair for pair in contrasts if pair[1] < 4.5], [])

    def test_all_is_legible_in_light_and_dark(self):
        for scheme in SCHEMES:
            with self.subTest(scheme=scheme):
                page = self.visit(scheme=scheme, fail="0.2;nonsense!")
                send(page, 100)
                self.assert_legible(page)
                page = self.visit(scheme=scheme, fail="backend=1")
                self.assert_legible(page)
                self.screenshot(page, f"failed-{scheme}")
                page = self.visit(self.fork.base_url, scheme=scheme)
                send(page, 1)
                self.assert_legible(page)

    def test_dark_is_dark(self):
        grounds = [
            self.visit(scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
            for scheme in SCHEMES
        ]
        light, dark = [sum(int(part) for part in rgb[4:-1].split(", ")) for rgb in grounds]
        self.assertGreater(light, 3 * 200)
        self.assertLess(dark, 3 * 60)

    def test_versions_have_their_own_colours(self):
        page = self.visit()
        send(page, 20)
        fills = styles(page.locator(".squares rect"), "fill")
        self.assertEqual(len(set(fills)), 2)
        self.assertIn(styles(page.locator(".node"), "borderTopColor")[1], fills)

    def test_nothing_makes_a_narrow_screen_scroll_sideways(self):
        long = self.start(Long())
        for name, options in {
            "chain": {},
            "failed": {"fail": "backend=1"},
            "warned": {"fail": "x" * 300},
            "fork": {"base_url": self.fork.base_url},
            "long": {"base_url": long.base_url},
        }.items():
            with self.subTest(name):
                page = self.visit(viewport=NARROW, **options)
                send(page, 20)
                self.assertFalse(scrolls_sideways(page))
                self.screenshot(page, f"narrow-{name}")

    def test_the_chain_runs_from_left_to_right_or_from_top_to_bottom(self):
        for viewport, along, across in ((WIDE, "x", "y"), (NARROW, "y", "x")):
            page = self.visit(viewport=viewport)
            boxes = [one.bounding_box() for one in page.locator(".node").all()]
            self.assertEqual(boxes, sorted(boxes, key=lambda box: box[along]))
            self.assertEqual(len({box[along] for box in boxes}), 4)
            self.assertEqual(len({box[across] for box in boxes}), 1)

    def test_bars_are_as_long_as_the_times_say_and_end_together(self):
        page = self.visit(delay="middleware=60ms;backend=30ms")
        whole = page.locator("td.line svg").first.bounding_box()
        whole_ms = milliseconds(page.locator("td.total").first)
        for row in page.locator("tbody tr", has=page.locator("td.own:not(:empty)")).all()[:3]:
            share = row.locator("rect.own").bounding_box()["width"] / whole["width"]
            wanted = milliseconds(row.locator("td.own")) / whole_ms
            self.assertAlmostEqual(share, wanted, delta=0.01)
        for line in page.locator("td.line svg").all():
            boxes = [part.bounding_box() for part in line.locator("rect").all()]
            end = max(box["x"] + box["width"] for box in boxes)
            self.assertAlmostEqual(end, whole["x"] + whole["width"], delta=2)

    def test_a_fork_shows_every_branch(self):
        page = self.visit(self.fork.base_url)
        hops = [name for name in nodes(page) if "/" not in name]
        self.assertEqual(hops, ["frontend-prod", "backend-prod", "search-v2", "backend-prod"])
        branches = page.locator(".fork").first.locator("> li > .node")
        lefts = {one.bounding_box()["x"] for one in branches.all()}
        self.assertEqual((branches.count(), len(lefts)), (4, 1))
        self.assertEqual(page.locator(".node.failed").count(), 1)
        self.assertFalse(scrolls_sideways(page))
        send(page, 20)
        self.assertEqual(shares(page), {"v2": 20})
        self.screenshot(page, "fork")

    def test_as_many_hops_as_there_may_be_fit_a_page(self):
        page = self.visit(self.start(Long()).base_url)
        self.assertEqual(len(nodes(page)), 32)
        self.assertFalse(scrolls_sideways(page))
        node(page, "hop32").scroll_into_view_if_needed()
        self.screenshot(page, "long")

    def test_pictures(self):
        for scheme in SCHEMES:
            page = self.visit(scheme=scheme)
            self.screenshot(page, f"chain-{scheme}")
            page.get_by_label("fail").fill("0.1")
            send(page, 100)
            self.screenshot(page, f"hundred-{scheme}")
        page = self.visit(self.fork.base_url, scheme="dark", fail="search=1")
        self.screenshot(page, "fork-failed-dark")
