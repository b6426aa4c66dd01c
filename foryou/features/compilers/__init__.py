"""From a definition to what engines understand: SQL (an AST and a table of differences per engine), Avro, Feast."""
