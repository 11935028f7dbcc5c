"""Certificates: lower bounds of a classifier's margins in balls around images, by auto_LiRPA."""
