"""Pages for people: what a change would do, or what becomes of a data set, as one HTML file.

A page needs nothing from elsewhere, loads nothing and sends nothing: a policy in its head allows its own style and
script, by their hashes, and nothing else.  The same input gives the same bytes.  Without its script it shows the same
tables; the script sorts, filters and turns them.

* `markup`: elements, in which every text is escaped.
* `messages`: what a page says, in English and Chinese.
* `document`: head, policy, style and script of every page.
* `review`: the page of a plan, a difference or a publication, of the sections in the other modules.
* `data`: the page of a data set.
* `notebook`: what a notebook shows of jobs.
"""
