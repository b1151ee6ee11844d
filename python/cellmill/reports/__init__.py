"""The page that shows what a run did: one HTML file, drawn by plotly, whose script lies in it.

``reading`` opens an output, ``genes`` and ``cells`` make of it what the page shows, of bounded size,
``page`` puts page and data together; ``page.js`` draws.
"""
