"""The asyncio orchestration over ports: which job leaves when, and what its outcome means for the others."""
