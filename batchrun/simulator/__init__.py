"""The API, simulated: one core (`api.Simulator`), a door in process (`inprocess`) and one over loopback (`server`)."""
