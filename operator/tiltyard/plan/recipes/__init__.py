"""From a manifest to recipes, one module for each part of the method.

Each part has the recipes by whom they are for, `bundles()` in plan order, and `artifacts`, by the names under which the
run's manifest lists them. Orders are the manifest's, so that appending a competitor changes nothing before it.
"""
