"""An explanation as a page that steps through both sweeps and follows other inputs."""
