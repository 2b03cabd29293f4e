"""The crash sweep: kill everything at every position, and count what was lost or done twice."""
