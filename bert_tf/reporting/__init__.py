"""From numbers to something to read: tables, figures, pages, the model card."""
