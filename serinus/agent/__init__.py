"""Acts: watches CanaryReleases, cuts what fails, and tells people."""
