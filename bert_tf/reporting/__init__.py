"""What people read: tables, figures, report pages, the model card."""
