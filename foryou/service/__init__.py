"""What every process of ours has: settings, structured logs, metrics, health, an HTTP door. Imports the contract."""
