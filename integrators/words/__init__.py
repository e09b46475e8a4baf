"""Words: their spelling, composition, check against a dynamics, and order by algebra."""
