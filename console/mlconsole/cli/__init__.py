"""The command line: a tree of commands made from the actions; stdout is data, stderr is talk."""
