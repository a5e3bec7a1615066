"""What `just system keep` leaves running: AMIs in several states, and the status page."""

import urllib.request

from keep import furnish, serve_page


def test_the_status_page_shows_the_amis_that_it_was_furnished_with(courier):
    furnish(courier)
    with urllib.request.urlopen(serve_page(courier, port=0), timeout=60) as answer:
        page = answer.read().decode()
    assert all(f"golden-{number}" in page for number in (1, 2, 3, 4)) and "ami-courier" in page, page
