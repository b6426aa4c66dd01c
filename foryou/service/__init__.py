"""What every process of ours has: settings, structured logs, metrics, health, an HTTP door. Imports only the contract."""
